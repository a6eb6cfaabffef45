"""No task is in the name of a living worker that does not work on it: what broke off,
and what was claimed unheard, goes on within seconds, not at a deadline (invariant 10,
rule 6)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from earmark.domain.errors import Unavailable
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.engine.boundary import watched
from earmark.engine.recover import MOST_RECOVERIES
from earmark.store import journal, workers
from earmark.testing.rounds import appetite
from earmark.worker import runner
from earmark.worker.process import Worker
from earmark.worker.runner import Runner
from tests.engine.world import Make, MakeTagged, Stage

AWAY = Unavailable("The database cannot be used: it is away.")


@pytest.fixture
def hands(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """What the worker w-1 has in its hands; it looks at that in every round."""
    monkeypatch.setattr(runner, "_CHECK_SECONDS", 0.0)
    return Runner(stage.engine, appetite(stage.engine), "w-1", 4, lambda: None)


def one_round(hands: Runner) -> None:
    hands.round()
    assert hands.wait_idle(30)


def once(at: str, error: Exception) -> Callable[[str], None]:
    """Raise at a boundary, the first time only."""
    left = [error]

    def watch(name: str) -> None:
        if name == at and left:
            raise left.pop()

    return watch


def log_of(stage: Stage, task: Task) -> str:
    lines = stage.engine.read(lambda tx: journal.lines(tx, task.id))
    return "\n".join(line.text for line in lines)


@pytest.mark.parametrize(
    "at", ["plan.committed", "prepare.done", "send.committed", "send.answered"]
)
def test_an_attempt_that_the_store_broke_off_goes_on(
    stage: Stage, hands: Runner, at: str
) -> None:
    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(once(at, AWAY)):
        one_round(hands)
    assert stage.task(task).state == "running", "nobody has written anything"
    one_round(hands)
    for _ in range(3):
        stage.check()
        one_round(hands)
    stage.check()
    ended = stage.task(task)
    assert ended.outcome == "ok", (ended.state, ended.message)
    assert len(stage.world.jobs) == 1
    assert "the store was out of its worker's reach" in log_of(stage, task)
    assert ended.recoveries == 0, "no worker was lost, and the task is not to blame"


def test_its_request_is_over_with_the_thread_that_sent_it(
    stage: Stage, hands: Runner
) -> None:
    """Else what is not found could not be sent again before the worker ends (rule 14):
    its provider would be asked for ever."""
    task = stage.ask(MakeTagged(provider="p-1", what="pot"))
    with watched(once("send.committed", AWAY)):
        one_round(hands)
    for _ in range(5):
        one_round(hands)
        stage.check()
    ended = stage.task(task)
    assert ended.outcome == "ok", (ended.state, ended.message)
    assert stage.world.sent == ["pot"]


def test_a_claim_that_it_did_not_hear_of_goes_on(stage: Stage, hands: Runner) -> None:
    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(once("claim.committed", AWAY)), pytest.raises(Unavailable):
        hands.round()
    assert stage.task(task).state == "running"
    one_round(hands)
    one_round(hands)
    stage.check()
    ended = stage.task(task)
    assert ended.outcome == "ok", (ended.state, ended.message)
    assert ended.recoveries == 0
    assert "did not hear" in log_of(stage, task)


def test_what_breaks_off_by_a_fault_of_ours_ends(
    stage: Stage, hands: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried for ever, and says why."""

    def broken(*_: object) -> None:
        raise SystemError("out of order")

    monkeypatch.setattr(runner, "perform", broken)
    task = stage.ask(Make(provider="p-1", what="pot"))
    for _ in range(MOST_RECOVERIES + 2):
        one_round(hands)
    ended = stage.task(task)
    assert ended.outcome == "failed", (ended.state, ended.message)
    assert "SystemError: out of order" in log_of(stage, task)


def test_what_is_in_hand_is_let_be(stage: Stage, hands: Runner) -> None:
    go_on, there = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "send.committed":
            there.set()
            assert go_on.wait(30)

    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(hold):
        hands.round()
        assert there.wait(30)
        hands.round()
        assert stage.task(task).state == "running"
        go_on.set()
        assert hands.wait_idle(30)
    stage.check()
    assert stage.task(task).outcome == "ok"
    assert len(stage.world.sent) == 1


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_who_drains_says_no_goodbye_to_what_it_did_not_hear_of(
    stage: Stage, settings: Settings
) -> None:
    """Its row stays as it is, so that others see that its process is gone."""
    worker = Worker(stage.engine, settings)
    met = threading.Event()

    def watch(name: str) -> None:
        if name == "claim.committed" and not met.is_set():
            met.set()
            worker.stop()
            raise AWAY

    with watched(watch), working(worker):
        task = stage.ask(Make(provider="p-1", what="pot"))
        assert met.wait(30)
    alive = stage.engine.read(workers.alive)
    assert [row.id for row in alive] == [worker.id]
    stage.kill(worker.id)
    stage.work()
    assert stage.task(task).outcome == "ok"
