"""No task is in the name of a living worker that does not work on it: what broke off,
and what was claimed unheard, goes on within seconds, not at a deadline (invariant 10,
rule 6)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from earmark.domain.command import OnRestart
from earmark.domain.errors import Stale, StoreAway, Unavailable
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.boundary import watched
from earmark.engine.recover import MOST_RECOVERIES
from earmark.store import journal, workers
from earmark.store.database import Transaction
from earmark.testing.rounds import appetite, hurry
from earmark.worker import runner
from earmark.worker.process import Worker
from earmark.worker.runner import Runner
from tests.engine.world import Make, MakeAll, MakeTagged, Stage

AWAY = StoreAway("The database cannot be used: it is away.")


@pytest.fixture(autouse=True)
def in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_CHECK_SECONDS", 0.0)


@pytest.fixture
def hands(stage: Stage) -> Runner:
    """What the worker w-1 has in its hands; it looks at that in every round."""
    return hands_of(stage)


def hands_of(
    stage: Stage, same_store: Callable[[Transaction], bool] = lambda tx: True
) -> Runner:
    knows = appetite(stage.engine)
    return Runner(stage.engine, knows, "w-1", 4, lambda: None, same_store)


def one_round(stage: Stage, hands: Runner) -> None:
    hurry(stage.engine)
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
        one_round(stage, hands)
    assert stage.task(task).state == "running", "nobody has written anything"
    one_round(stage, hands)
    for _ in range(3):
        stage.check()
        one_round(stage, hands)
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
        one_round(stage, hands)
    for _ in range(5):
        one_round(stage, hands)
        stage.check()
    ended = stage.task(task)
    assert ended.outcome == "ok", (ended.state, ended.message)
    assert stage.world.sent == ["pot"]


def test_a_claim_that_it_did_not_hear_of_goes_on(stage: Stage, hands: Runner) -> None:
    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(once("claim.committed", AWAY)), pytest.raises(StoreAway):
        hands.round()
    assert stage.task(task).state == "running"
    one_round(stage, hands)
    one_round(stage, hands)
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
    for _ in range(2 * MOST_RECOVERIES + 3):
        one_round(stage, hands)
    ended = stage.task(task)
    assert ended.outcome == "failed", (ended.state, ended.message)
    assert "SystemError: out of order" in log_of(stage, task)


def test_it_comes_back_after_a_pause(stage: Stage, hands: Runner) -> None:
    """A store that is too busy is not kept so by who tries again at once."""
    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(once("prepare.done", AWAY)):
        one_round(stage, hands)
    hands.compare()
    paused = stage.task(task)
    assert (paused.state, paused.tries) == ("queued", 0), "nothing was tried"
    assert paused.run_after > paused.updated_at


def test_what_fails_without_the_store_being_away_fails(stage: Stage) -> None:
    """A key file that opens nothing, say: it stays so, and is said at once."""

    def locked_out(*_: object) -> None:
        raise Unavailable("A sealed secret does not open.")

    shut = stage.vary(Make, prepare=locked_out)
    hands = hands_of(stage)
    task = stage.ask(shut(provider="p-1", what="pot"))
    one_round(stage, hands)
    ended = stage.task(task)
    assert ended.outcome == "failed", log_of(stage, task)
    assert "does not open" in ended.message


def test_no_loss_of_a_worker_is_made_of_it(stage: Stage) -> None:
    """What is to fail when its worker is lost goes on: no worker was."""
    frail = stage.vary(MakeAll, on_restart=OnRestart.FAIL)
    hands = hands_of(stage)
    task = stage.ask(frail(provider="p-1", whats=("pot", "lid")))
    one_round(stage, hands)
    with watched(once("prepare.done", AWAY)):
        one_round(stage, hands)
    for _ in range(5):
        one_round(stage, hands)
        stage.check()
    assert stage.task(task).outcome == "ok", stage.task(task).message


def test_a_send_is_over_also_when_another_was_first(
    stage: Stage, hands: Runner
) -> None:
    """The store was away for longer than the call may take, so that it was taken for
    hung first: the thread has ended all the same."""
    task = stage.ask(MakeTagged(provider="p-1", what="pot"))
    with watched(once("send.committed", AWAY)):
        one_round(stage, hands)
    assert recover.recover(stage.engine, stage.task(task), "it ran past its deadline")
    for _ in range(5):
        one_round(stage, hands)
        stage.check()
    assert stage.task(task).outcome == "ok", stage.task(task).message
    assert stage.world.sent == ["pot"]


def test_what_an_older_copy_says_is_let_be(stage: Stage) -> None:
    """Until its epoch has begun, and what it does not know of is asked about."""
    same = [False]
    hands = hands_of(stage, lambda tx: same[0])
    task = stage.ask(Make(provider="p-1", what="pot"))
    with watched(once("prepare.done", AWAY)):
        one_round(stage, hands)
    one_round(stage, hands)
    assert stage.task(task).state == "running"
    same[0] = True
    one_round(stage, hands)
    assert stage.task(task).state != "running"


def test_a_fence_of_an_authors_own_is_not_tried_for_ever(stage: Stage) -> None:
    def stale(*_: object) -> None:
        raise Stale("somebody else went on")

    odd = stage.vary(Make, prepare=stale)
    hands = hands_of(stage)
    task = stage.ask(odd(provider="p-1", what="pot"))
    for _ in range(2 * MOST_RECOVERIES + 3):
        one_round(stage, hands)
    ended = stage.task(task)
    assert ended.outcome == "failed", (ended.state, ended.message)
    assert "attempts of it broke off" in ended.message


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


@pytest.mark.parametrize("at", ["claim.committed", "send.committed"])
def test_who_drains_lets_go_of_all_that_it_has(
    stage: Stage, settings: Settings, at: str
) -> None:
    """Nothing is left that only the end of its process would explain."""
    worker = Worker(stage.engine, settings)
    met = threading.Event()

    def watch(name: str) -> None:
        if name == at and not met.is_set():
            met.set()
            worker.stop()
            raise AWAY

    with watched(watch), working(worker):
        task = stage.ask(MakeTagged(provider="p-1", what="pot"))
        assert met.wait(30)
    assert stage.engine.read(workers.alive) == []
    for _ in range(3):
        hurry(stage.engine)
        stage.work()
    assert stage.task(task).outcome == "ok", stage.task(task).message
    assert stage.world.sent == ["pot"]
