"""A worker is proved gone in one transaction, and what it had is recovered in another:
whatever comes between the two, nothing waits for the dead (rules 1, 7)."""

import pytest

from earmark.domain.settings import Settings
from earmark.engine import recover
from earmark.store import sends, workers
from earmark.store.database import Transaction
from earmark.testing.rounds import perform_queued
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


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        (0, "worker w-1 is gone; no task was left in its hands"),
        (1, "worker w-1 is gone; 1 task recovered"),
        (2, "worker w-1 is gone; 2 tasks recovered"),
    ],
)
def test_the_log_tells_what_the_gone_had(
    stage: Stage,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    claimed: int,
    said: str,
) -> None:
    """A job that was accepted is in nobody's hands: none of it reads like a loss."""
    stage.ask(Make(provider="p-1", what="accepted"))
    stage.hire("w-1", [])
    perform_queued(stage.engine)
    for number in range(claimed):
        stage.ask(Make(provider="p-1", what=f"{number}"))
    stage.claim()
    monkeypatch.setattr("earmark.worker.recoverer.provably_gone", lambda *_: True)
    _round(stage, settings)
    assert said in caplog.messages
