"""What past runs took: the newest of a kind that ended ok, and no others."""

from datetime import timedelta

from earmark.domain.states import Outcome, TaskState
from earmark.engine.runtime import Engine
from earmark.store import durations
from tests.store.test_queue import put, row


def ended(engine: Engine, *seconds: int, **more: object) -> None:
    """Runs that took so long, one after the other."""
    now = engine.read(lambda tx: tx.now)
    values = {"state": TaskState.DONE, "outcome": Outcome.OK, "started_at": now} | more
    for length in seconds:
        finished = {"finished_at": now + timedelta(seconds=length)}
        put(engine, row(**values) | finished)


def took(engine: Engine, *kinds: durations.Kind) -> dict[durations.Kind, list[int]]:
    found = engine.read(lambda tx: durations.took(tx, kinds))
    return {
        kind: [round(it.total_seconds()) for it in lengths]
        for kind, lengths in found.items()
    }


def test_each_kind_has_its_own(engine: Engine) -> None:
    ended(engine, 1, 2)
    ended(engine, 3, provider_id="p-1")
    ended(engine, 4, provider_id="p-2")
    ended(engine, 5, command="Other")
    kinds: list[durations.Kind] = [("Noop", None), ("Noop", "p-1"), ("Noop", "p-3")]
    assert took(engine, *kinds) == {("Noop", None): [2, 1], ("Noop", "p-1"): [3]}


def test_what_ended_otherwise_does_not_count(engine: Engine) -> None:
    ended(engine, 1, outcome=Outcome.FAILED)
    ended(engine, 2, outcome=Outcome.WARNED)
    assert took(engine, ("Noop", None)) == {}


def test_only_the_newest_count(engine: Engine) -> None:
    ended(engine, *[9] * 3, *[1] * durations.RUNS)
    assert took(engine, ("Noop", None)) == {("Noop", None): [1] * durations.RUNS}


def test_of_nothing_nothing_is_known(engine: Engine) -> None:
    assert took(engine) == {}
