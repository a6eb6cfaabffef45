"""One thread is stopped at an instant of its send, as SIGSTOP would stop its process;
others go on; it wakes up (rules 1, 3 and 5; invariants 2 and 4). Every class of
operation, both stores.

The processes are simulated by threads here; `tests/acceptance/test_stopped.py` has the
real ones.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

from earmark.domain import deadline
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.boundary import Killed, watched
from earmark.engine.claim import claim
from earmark.engine.enqueue import transact
from earmark.engine.perform import perform
from earmark.engine.poll import check_provider
from earmark.engine.runtime import Engine
from earmark.store import placeholders, tasks
from earmark.testing import invariants
from earmark.testing.drive import Driver
from earmark.testing.instants import Instants
from earmark.testing.rounds import appetite
from tests.crash.cases import SCRIPTED_ID
from tests.crash.inside import Faithful
from tests.crash.provider import MakeListed, MakeNamed, MakeSo
from tests.engine.world import Make, MakeBlindly, MakeTagged

pytestmark = pytest.mark.slow

SECONDS = 30.0
CLASSES = (Make, MakeNamed, MakeTagged, MakeSo, MakeListed, MakeBlindly)


class Sleeper:
    """A thread that does one thing and is stopped at an instant of it, once."""

    def __init__(self, at: str, work: Callable[[], Any]) -> None:
        self._at = at
        self._work = work
        self._asleep = threading.Event()
        self._woken = threading.Event()
        self._killed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def meet(self, name: str) -> None:
        """This instant has come, in whichever thread."""
        here = threading.current_thread() is self._thread
        if here and name == self._at and not self._asleep.is_set():
            self._asleep.set()
            assert self._woken.wait(SECONDS), "nobody woke it up"
            if self._killed:
                raise Killed(name)

    def wake(self) -> None:
        """Let it go on, to its end."""
        self._woken.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def die(self) -> None:
        """It is killed in its sleep."""
        self._killed = True
        self.wake()

    def __enter__(self) -> Self:
        self._watching = watched(self.meet)
        self._watching.__enter__()
        self._thread.start()
        assert self._asleep.wait(SECONDS), f"it never came to {self._at}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._woken.set()
        self._thread.join(SECONDS)
        self._watching.__exit__(None, None, None)

    def _run(self) -> None:
        try:
            self._work()
        except Killed:
            return
        except BaseException as error:
            self._error = error


class Night:
    """A task whose worker `asleep` is stopped, and the workers that go on."""

    def __init__(self, engine: Engine, kind: type[Make]) -> None:
        self.engine = engine
        self.provider = Faithful(engine)
        self.others = Driver(engine, self.provider, Instants())
        self.others.clear()
        self.finals = invariants.Finals(engine)
        command = kind(provider=SCRIPTED_ID, what="a")
        self.asked = transact(engine, lambda tx: command.enqueue(tx))

    def sender(self, at: str) -> Sleeper:
        """The first worker, stopped at an instant of its send."""
        (claimed,) = claim(self.engine, appetite(self.engine), "asleep", 1)
        sleeper = Sleeper(at, lambda: perform(self.engine, claimed))
        self.provider.ledger.on_way = sleeper.meet
        return sleeper

    def goes_on(self) -> Task:
        """The others work as far as they get; returns the task as it is then."""
        _, changed = self.others.drive(self.finals)
        assert not changed
        # Who wakes up asks nobody: where the provider deduplicates, it may send.
        task, ledger = self.task(), self.provider.ledger
        journal = [] if repeatable(task) else ledger.journal
        wrong = [
            *invariants.broken(self.engine),
            *invariants.broken_at_provider(self.engine, ledger.counted(), journal),
            *ledger.violations,
        ]
        assert not wrong, wrong
        return task

    def task(self) -> Task:
        return self.engine.read(lambda tx: tasks.get(tx, self.asked.id))

    def evidence(self, kind: str) -> list[Any]:
        """What was seen of the effect, of one kind."""

        def look(tx: Any) -> list[Any]:
            effect = placeholders.of_task(tx, self.asked.id)
            assert effect is not None
            return [
                row
                for row in placeholders.evidence_of(tx, effect.id)
                if row.kind == kind
            ]

        return self.engine.read(look)


@pytest.fixture(params=CLASSES, ids=lambda kind: kind.operation)
def night(engine: Engine, request: pytest.FixtureRequest) -> Night:
    return Night(engine, request.param)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets a call's deadline pass without waiting for it."""

    class Ahead:
        seconds = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.seconds

    ahead = Ahead()

    def forward(seconds: float) -> None:
        ahead.seconds += seconds

    monkeypatch.setattr(deadline, "time", ahead)
    return forward


def repeatable(task: Task) -> bool:
    return task.command in (Make.__name__, MakeNamed.__name__)


def blind(task: Task) -> bool:
    """Who cannot be asked what became of a request leaves it to a person."""
    return task.command == MakeBlindly.__name__


@pytest.mark.parametrize("at", ["send.committed", "last check"])
def test_it_sends_after_others_went_on(night: Night, at: str) -> None:
    """It wakes up with its request in hand and lets it out."""
    with night.sender(at) as asleep:
        recover.worker_silent(night.engine, "asleep", "it is not heard")
        before = night.goes_on()
        # Who deduplicates can be asked again; of the others nobody knows better.
        sends = len(night.provider.ledger.asked_for())
        assert (before.outcome == "ok", sends) == (
            repeatable(before),
            repeatable(before),
        )
        asleep.wake()
    assert len(night.evidence("late")) == 1
    after = night.goes_on()
    assert len(night.provider.ledger.effects) == 1
    if blind(after):
        assert before.state == "held"  # not guessed, until its own sender's answer came
    assert after.outcome == "ok"


def test_past_its_deadline_it_lets_nothing_out(
    night: Night, clock: Callable[[float], None]
) -> None:
    with night.sender("send.committed") as asleep:
        recover.worker_silent(night.engine, "asleep", "it is not heard")
        before = night.goes_on()
        clock(3600)
        sends = len(night.provider.ledger.asked_for())
        asleep.wake()
    assert len(night.provider.ledger.asked_for()) == sends
    (late,) = night.evidence("late")
    assert "did not leave" in late.text
    clock(-3600)
    after = night.goes_on()
    if blind(after):
        assert (after.state, before.state, sends) == ("held", "held", 0)
    else:
        assert after.outcome == "ok"
        assert len(night.provider.ledger.effects) == 1


@pytest.mark.parametrize("at", ["landed", "send.answered"])
def test_its_answer_is_known_by_then(night: Night, at: str) -> None:
    """What it did is found by others, where it can be; its own word is evidence."""
    with night.sender(at) as asleep:
        recover.worker_silent(night.engine, "asleep", "it is not heard")
        before = night.goes_on()
        if blind(before):
            assert before.state == "held"
        elif before.command == MakeSo.__name__:
            # Reached; but the sender may send yet, so the lock stays (rule 12).
            assert before.state == "waiting"
        else:
            assert before.outcome == "ok"
        asleep.wake()
    (late,) = night.evidence("late")
    assert late.external_id
    after = night.goes_on()
    assert len(night.provider.ledger.asked_for()) == 1
    assert after.outcome == "ok"


def test_an_old_look_is_no_word_on_what_landed_since(engine: Engine) -> None:
    """A prober that is stopped with “absent” in hand, while the request lands and its
    horizon passes, must not conclude that it can be sent again (invariant 4)."""
    night = Night(engine, MakeTagged)
    with night.sender("last check") as asleep:
        asleep.die()
        recover.worker_gone(engine, "asleep", "it was killed")
        effect = engine.read(lambda tx: placeholders.of_task(tx, night.asked.id))
        assert effect is not None
        prober = Sleeper("probe.answered", lambda: check_provider(engine, SCRIPTED_ID))
        with prober:
            night.provider.lost(effect.id, night.asked)
            night.others.let_time_pass()
            prober.wake()
        after = night.goes_on()
    assert after.outcome == "ok"
    assert night.provider.ledger.asked_for() == []
    assert len(night.provider.ledger.effects) == 1


def test_an_answer_that_comes_during_a_look_is_heard(engine: Engine) -> None:
    """The look saw nothing, then the request landed and its own late answer came:
    that it was answered says where it is, not that it can be sent again."""
    night = Night(engine, MakeTagged)
    with night.sender("last check") as asleep:
        recover.worker_silent(engine, "asleep", "it is not heard")
        prober = Sleeper("probe.answered", lambda: check_provider(engine, SCRIPTED_ID))
        with prober:
            asleep.wake()
            prober.wake()
        after = night.goes_on()
    assert after.outcome == "ok"
    assert len(night.provider.ledger.asked_for()) == 1
