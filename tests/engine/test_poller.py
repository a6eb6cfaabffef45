"""The poller's loop with a provider that answers slowly: it stays this worker's, and is
not taken for one that hangs."""

import queue
import threading
from collections.abc import Iterator

import pytest

from earmark.domain.outcome import Progress, Running
from earmark.engine.perform import perform
from earmark.store.schema import leases
from earmark.worker import poller
from tests.engine.world import Make, Stage

PATIENCE = 20.0


class Slow:
    """Lets each poll wait until it may answer."""

    def __init__(self, stage: Stage) -> None:
        self.asked: queue.Queue[str] = queue.Queue()
        self.may = threading.Semaphore(0)
        stage.world.on_poll = self.poll

    def poll(self, job: str) -> Progress:
        self.asked.put(job)
        assert self.may.acquire(timeout=PATIENCE)
        return Running(5, "going on")


@pytest.fixture
def slow(stage: Stage) -> Iterator[Slow]:
    stage.ask(Make(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    found = Slow(stage)
    yield found
    found.may.release(100)


def test_a_slow_look_keeps_its_lease(
    stage: Stage, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every worker of the zone would ask a slow provider at the same time."""
    monkeypatch.setattr(poller, "LEASE_SECONDS", 0.0)  # renewed in each round
    mine = poller.Poller(stage.engine, "default", "w-1", lambda: None)
    ended = threading.Event()
    mine.on_checked = ended.set
    until = leases.select().where(leases.c.name == "poller:p-1")

    def expires() -> object:
        return stage.engine.read(lambda tx: tx.execute(until).one().expires_at)

    mine.round()
    slow.asked.get(timeout=PATIENCE)
    before = expires()
    mine.round()
    assert expires() != before
    slow.may.release()
    assert ended.wait(PATIENCE)


def test_slow_looks_that_end_do_not_wear_it_out(
    stage: Stage, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "HUNG_SECONDS", 0.0)
    monkeypatch.setattr(poller, "MOST_GIVEN_UP", 2)
    worn_out = threading.Event()
    mine = poller.Poller(stage.engine, "default", "w-1", worn_out.set)
    ended = threading.Semaphore(0)
    mine.on_checked = ended.release
    for _ in range(3):
        stage.hurry()
        mine.round()
        slow.asked.get(timeout=PATIENCE)
        mine.round()  # gives the first look up, and begins a second one
        slow.asked.get(timeout=PATIENCE)
        slow.may.release(2)
        assert ended.acquire(timeout=PATIENCE)
        assert ended.acquire(timeout=PATIENCE)
    assert not worn_out.is_set()
