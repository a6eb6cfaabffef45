"""A worker is proved gone in one transaction, and what it had is recovered in another:
whatever comes between the two, nothing waits for the dead (rules 1, 7)."""

import pytest

from earmark.domain.settings import Settings
from earmark.engine import recover
from earmark.store import sends, workers
from earmark.store.database import Transaction
from earmark.worker.heartbeat import Heartbeat
from earmark.worker.recoverer import Recoverer
from tests.engine.world import Make, MakeTagged, Stage


def _proved_gone(tx: Transaction) -> None:
    """As far as a witness comes that dies right after its first commit."""
    workers.set_state(tx, "w-1", "gone", of=workers.ALIVE)
    sends.sender_gone(tx, "w-1")


def _round(stage: Stage, settings: Settings) -> None:
    """Another worker's recoverer looks once."""
    beat = Heartbeat(stage.engine, "w-2", settings.beat_seconds, lambda: None)
    Recoverer(stage.engine, "w-2", beat, settings.silence_seconds).round()


@pytest.mark.parametrize("claimed_before", [True, False])
def test_a_claim_of_the_gone_is_recovered(
    stage: Stage, settings: Settings, claimed_before: bool
) -> None:
    """Its witness died too; or the claim was committed only after it was seen dead."""
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.hire("w-1", [])
    if claimed_before:
        stage.claim()
    stage.engine.write(_proved_gone)
    stage.claim()
    assert stage.task(task).state == "running"
    _round(stage, settings)
    assert stage.task(task).state == "queued"
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])


def test_an_intent_of_the_gone_is_known_to_be_over(
    stage: Stage, settings: Settings
) -> None:
    """Else it "may still be sent" for good, and a person is asked at last."""
    task = stage.ask(MakeTagged(provider="p-1", what="a"))
    stage.hire("w-1", [])
    (claimed,) = stage.claim()
    stage.engine.write(_proved_gone)
    stage.intend(claimed)
    _round(stage, settings)
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])


def test_the_gone_that_left_nothing_are_left_alone(stage: Stage) -> None:
    stage.hire("w-1", [])
    stage.engine.write(_proved_gone)
    assert recover.left_by_the_gone(stage.engine) == 0
    assert stage.engine.read(workers.gone_with_work) == []
