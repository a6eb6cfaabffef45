"""Locks of objects: all or none, first come first served, no lock survives its root and
nothing runs without its locks (rules 10, 11; invariants 6, 10)."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Action, Child, Command, Composite, WhenLocked
from earmark.domain.errors import Rejected
from earmark.domain.lock import Lock, LockMode, exclusive, shared
from earmark.domain.outcome import Done, Running
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.engine.act import act
from earmark.engine.cancel import cancel
from earmark.engine.enqueue import transact
from earmark.engine.explain import waiting_for
from earmark.engine.perform import perform
from earmark.engine.plan import plan
from earmark.engine.wait import wait
from earmark.store import tasks
from earmark.store.wakeups import Topic
from tests.commands import Contend
from tests.engine.world import Make, Stage
from tests.peers.worker import WorkerProcess

QUEUE = WhenLocked.QUEUE


class Touch(Action[str]):
    """Works on some things at once, or fails."""

    title = "Touch {names}"
    names: tuple[str, ...]
    mode: LockMode = LockMode.EXCLUSIVE

    def locks(self) -> Sequence[Lock]:
        return [Lock("thing", name, self.mode) for name in self.names]

    def run(self, ctx: Ctx) -> str:
        return "touched"


class Patient(Touch):
    """Waits its turn instead."""

    title = "Touch {names}, patiently"
    when_locked = QUEUE


class Both(Composite[str]):
    """Locks one thing itself and another through its child."""

    title = "Both of {first} and {second}"
    on_children: ClassVar[Callable[[], Any]] = staticmethod(lambda: None)
    first: str
    second: str

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.first)]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        type(self).on_children()
        return {"inner": Touch(names=(self.first, self.second))}

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("inner", Touch)


class Keep(Make):
    """Holds things for as long as its job runs."""

    title = "Keep {what}"
    mode: LockMode = LockMode.EXCLUSIVE

    def locks(self) -> Sequence[Lock]:
        return [Lock("thing", name, self.mode) for name in self.what.split()]


@pytest.fixture
def hall(stage: Stage) -> Stage:
    """A stage that knows these commands."""
    for command in (Touch, Patient, Both, Keep):
        stage.engine.commands.register(command)
    return stage


def keep(hall: Stage, things: str, mode: LockMode = LockMode.EXCLUSIVE) -> Task:
    """A task that holds these things until `let_go`."""
    hall.world.on_poll = lambda job: Running(5)
    task = hall.ask(Keep(provider="p-1", what=things, mode=mode))
    hall.work(rounds=2)
    assert task.id in hall.locked("thing", things.split()[0])
    return task


def let_go(hall: Stage, task: Task) -> None:
    """The job of `keep` ends; others' go on."""
    (job,) = [e.external_id for e in hall.effects() if e.task_id == task.id]
    before = hall.world.on_poll
    hall.world.on_poll = lambda one: Done("ok") if one == job else Running(5)
    hall.check()
    hall.world.on_poll = before
    assert hall.task(task).done


def works(hall: Stage, count: int, until: Callable[[], bool]) -> list[BaseException]:
    """Let so many threads work as workers until that is true; returns what escaped."""
    escaped: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with hall.engine.database.wakeups.subscribe(Topic.QUEUE) as queued:
                while not until():
                    claimed = hall.claim(f"w-{number}", limit=3)
                    for task in claimed:
                        perform(hall.engine, task)
                    if not claimed:
                        queued.wait(0.2)
        except BaseException as error:
            escaped.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    return escaped


def at_once(*deeds: Callable[[], Any]) -> list[BaseException]:
    """Do these in threads that begin at the same instant."""
    barrier = threading.Barrier(len(deeds))
    escaped: list[BaseException] = []

    def do(deed: Callable[[], Any]) -> None:
        barrier.wait(10)
        try:
            deed()
        except BaseException as error:
            escaped.append(error)

    threads = [threading.Thread(target=do, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return escaped


def reason(hall: Stage, task: Task) -> str:
    now = hall.task(task)
    return hall.engine.read(lambda tx: waiting_for(tx, [now]))[task.id].text


def test_the_refused_name_the_holder(hall: Stage) -> None:
    holder = keep(hall, "a b")
    refused = hall.run(Touch(names=("b", "c")))
    assert (refused.outcome, refused.error and refused.error["code"]) == (
        "failed",
        "locked",
    )
    assert holder.id in refused.message
    assert "“Keep a b”" in refused.message
    assert hall.locked("thing", "c") == []


def test_the_patient_queue_in_order_and_say_for_whom(hall: Stage) -> None:
    holder = keep(hall, "a")
    first, second = (hall.ask(Patient(names=("a",))) for _ in range(2))
    hall.work()
    assert hall.in_line("thing", "a") == [first.id, second.id]
    assert hall.task(first).state == "waiting"
    assert f"is locked by “Keep a” (task {holder.id})" in reason(hall, first)
    assert "waits for that" in hall.task(first).message
    # One that will not wait is refused also by who only waits.
    let_go(hall, holder)
    hurried = hall.ask(Touch(names=("a",)))
    (claimed,) = [task for task in hall.claim() if task.id == hurried.id]
    perform(hall.engine, claimed)
    assert "is waited for, earlier," in hall.task(hurried).message
    hall.kill()
    hall.work()
    assert [hall.task(one).outcome for one in (first, second)] == ["ok", "ok"]
    assert (hall.locked("thing", "a"), hall.in_line("thing", "a")) == ([], [])


@pytest.mark.parametrize("waits", [False, True])
def test_opposite_orders_end(hall: Stage, waits: bool) -> None:
    """Each locks one thing and then, through its child, the other's."""
    meet = threading.Barrier(2)

    def children() -> None:
        # On SQLite one plan comes after the other: there they cannot meet.
        with suppress(threading.BrokenBarrierError):
            meet.wait(1)

    members: dict[str, Any] = {"on_children": staticmethod(children)}
    if waits:
        members["when_locked"] = QUEUE
    kind = hall.vary(Both, **members)
    one = hall.ask(kind(first="a", second="b"))
    other = hall.ask(kind(first="b", second="a"))
    claimed = hall.claim()
    deeds = [lambda task=task: perform(hall.engine, task) for task in claimed]
    assert at_once(*deeds) == []
    hall.work()
    ends = sorted(str(hall.task(task).outcome) for task in (one, other))
    assert ends == (["ok", "ok"] if waits else ["failed", "ok"])
    assert (hall.locked("thing", "a"), hall.locked("thing", "b")) == ([], [])


def test_shared_go_together_and_exclusive_waits(hall: Stage) -> None:
    holder = keep(hall, "a", LockMode.SHARED)
    also = hall.run(Patient(names=("a",), mode=LockMode.SHARED))
    assert also.outcome == "ok"
    alone = hall.ask(Patient(names=("a",)))
    hall.work()
    assert hall.task(alone).state == "waiting"
    # It came first: a shared request waits behind it, though the holder would share.
    behind = hall.ask(Patient(names=("a",), mode=LockMode.SHARED))
    hall.work()
    assert "is waited for, earlier," in reason(hall, behind)
    assert alone.id in reason(hall, behind)
    let_go(hall, holder)
    hall.work()
    assert [hall.task(one).outcome for one in (alone, behind)] == ["ok", "ok"]


def test_exclusive_lets_all_the_shared_behind_it_go_at_once(hall: Stage) -> None:
    holder = keep(hall, "a")
    shared_ones = [
        hall.ask(Patient(names=("a",), mode=LockMode.SHARED)) for _ in range(3)
    ]
    last = hall.ask(Patient(names=("a",)))
    hall.work()
    let_go(hall, holder)
    woken = [task.id for task in hall.tasks() if task.state == "queued"]
    assert woken == [task.id for task in shared_ones]
    hall.work()
    assert hall.task(last).outcome == "ok"


def test_who_waits_for_two_things_rests_when_one_comes_free(hall: Stage) -> None:
    """Woken by the one, it waits for the other: without being claimed in a circle."""
    keep(hall, "b")
    sharer = keep(hall, "a", LockMode.SHARED)

    def locks(self: Both) -> Sequence[Lock]:
        return [Lock("thing", self.first, LockMode.SHARED)]

    def children(self: Both, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {"inner": Touch(names=(self.second,))}

    members = {"locks": locks, "children": children, "when_locked": QUEUE}
    patient = hall.ask(hall.vary(Both, **members)(first="a", second="b"))
    hall.work(rounds=2)
    assert hall.task(patient).state == "waiting"
    let_go(hall, sharer)
    (claimed,) = hall.claim()
    perform(hall.engine, claimed)
    assert hall.task(patient).state == "waiting"
    assert "“Keep b”" in hall.task(patient).message


def test_who_leaves_the_line_lets_the_next_go(hall: Stage) -> None:
    """An exclusive one gives up waiting for shared: those behind it may share."""
    keep(hall, "a", LockMode.SHARED)
    alone = hall.ask(Patient(names=("a",)))
    behind = hall.ask(Patient(names=("a",), mode=LockMode.SHARED))
    hall.work()
    assert hall.task(behind).state == "waiting"
    cancel(hall.engine, alone.id, "somebody")
    assert hall.task(alone).outcome == "cancelled"
    hall.work()
    assert hall.task(behind).outcome == "ok"


@pytest.mark.slow
def test_a_hundred_contenders_in_their_order(hall: Stage) -> None:
    """Worked by four threads: no deadlock, no lost wake, nobody inside with another."""
    inside: list[str] = []
    order: list[str] = []

    def run(self: Touch, ctx: Ctx) -> str:
        inside.append(ctx.task.id)
        order.append(ctx.task.id)
        assert len(inside) == 1
        inside.remove(ctx.task.id)
        return "touched"

    kind = hall.vary(Patient, run=run)
    holder = keep(hall, "a")
    asked = [hall.ask(kind(names=("a",))).id for _ in range(100)]
    assert works(hall, 4, lambda: len(hall.in_line("thing", "a")) == 100) == []
    assert hall.in_line("thing", "a") == asked
    let_go(hall, holder)
    assert works(hall, 4, lambda: len(order) == 100 and not hall.queued()) == []
    assert order == asked
    hall.work()
    assert {task.outcome for task in hall.tasks()} == {"ok"}
    assert (hall.locked("thing", "a"), hall.in_line("thing", "a")) == ([], [])


def test_contenders_for_two_of_three_things_all_end(hall: Stage) -> None:
    """Everybody waits for everybody: still nobody starves."""
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]
    for number in range(30):
        mode = LockMode.SHARED if number % 4 == 0 else LockMode.EXCLUSIVE
        hall.ask(Patient(names=pairs[number % 3], mode=mode))

    def over() -> bool:
        return all(task.done for task in hall.tasks())

    assert works(hall, 4, over) == []
    assert {task.outcome for task in hall.tasks()} == {"ok"}


@pytest.mark.slow
def test_contenders_of_several_processes(
    hall: Stage, settings: Settings, tmp_path: Path
) -> None:
    """Real worker processes on both stores, one of which is killed meanwhile."""
    engine = hall.engine
    settings.commands = ("tests.commands",)
    engine.commands.register_module("tests.commands")
    holder = hall.ask(Contend(thing="a"))
    (claimed,) = hall.claim("w-test")
    command = Contend(thing="a")
    held = plan(engine, claimed, command)
    asked = [hall.ask(Contend(thing="a")) for _ in range(24)]
    log = tmp_path / "workers.log"
    with (
        WorkerProcess(settings, log) as one,
        WorkerProcess(settings, log) as other,
        engine.database.wakeups.subscribe(Topic.CHANGES) as changes,
    ):
        one.ready()
        other.ready()
        while len(hall.in_line("thing", "a")) < len(asked):
            changes.wait(0.5)
        assert hall.in_line("thing", "a") == [task.id for task in asked]
        act(engine, held, command)
        assert wait(engine, asked[3].id, 60).done
        one.kill()
        for task in asked:
            assert wait(engine, task.id, 60).outcome == "ok"
    ends = [hall.task(task) for task in (holder, *asked)]
    assert ends == sorted(ends, key=lambda task: str(task.finished_at))
    assert (hall.locked("thing", "a"), hall.in_line("thing", "a")) == ([], [])


@pytest.mark.parametrize("round_", range(5))
def test_cancelled_and_woken_at_the_same_time(hall: Stage, round_: int) -> None:
    """Whoever is first: the one behind is not forgotten."""
    holder = keep(hall, "a")
    first, behind = (hall.ask(Patient(names=("a",))) for _ in range(2))
    hall.work()

    def give_up() -> None:
        with suppress(Rejected):
            cancel(hall.engine, first.id, "somebody")

    assert at_once(lambda: let_go(hall, holder), give_up) == []
    hall.work()
    assert hall.task(first).outcome in ("cancelled", "ok")
    assert hall.task(behind).outcome == "ok"
    assert (hall.locked("thing", "a"), hall.in_line("thing", "a")) == ([], [])


@pytest.mark.parametrize("when", ["claimed", "planned"])
def test_killed_after_it_was_woken(hall: Stage, when: str) -> None:
    holder = keep(hall, "a")
    first, behind = (hall.ask(Patient(names=("a",))) for _ in range(2))
    hall.work()
    let_go(hall, holder)
    (claimed,) = hall.claim("w-2")
    assert claimed.id == first.id
    if when == "planned":
        plan(hall.engine, claimed, Patient(names=("a",)))
        assert hall.locked("thing", "a") == [first.id]
    hall.kill("w-2")
    # Nobody slips in between: it has its place, or its lock.
    assert hall.run(Touch(names=("a",))).outcome == "failed"
    hall.work()
    assert [hall.task(one).outcome for one in (first, behind)] == ["ok", "ok"]
    assert (hall.locked("thing", "a"), hall.in_line("thing", "a")) == ([], [])


def test_a_release_meets_the_plan_of_who_waits(hall: Stage) -> None:
    """The holder of one thing ends at the very moment in which the one who waits for
    that thing, woken for another, plans. Neither waits for the other (rule 10)."""
    planning, plans, ends = threading.Event(), [0], [0]

    def locks(self: Patient) -> Sequence[Lock]:
        plans[0] += 1
        planning.set()
        ended.wait(0.5)
        return [exclusive("thing", name) for name in self.names]

    def finish(self: Keep, tx: Tx, result: str) -> None:
        ends[0] += 1

    ended = threading.Event()
    ended.set()
    kind = hall.vary(Patient, locks=locks)
    ending = hall.vary(Keep, finish=finish)
    hall.world.on_poll = lambda job: Running(5)
    a = hall.ask(ending(provider="p-1", what="a"))
    hall.work(rounds=2)
    b = keep(hall, "b")
    waiting = hall.ask(kind(names=("a", "b")))
    hall.work()
    let_go(hall, b)
    (claimed,) = hall.claim("w-2")
    assert claimed.id == waiting.id
    planning.clear()
    ended.clear()
    plans[0] = 0

    def end_a() -> None:
        planning.wait(10)
        let_go(hall, a)
        ended.set()

    assert at_once(lambda: perform(hall.engine, claimed), end_a) == []
    assert (plans, ends) == ([1], [1]), "one was rolled back for the other"
    hall.work()
    assert hall.task(waiting).outcome == "ok"


def test_a_late_conflict_fails_the_child_and_names_the_holder(hall: Stage) -> None:
    """The inner plan is made when its turn comes; its root holds locks by then."""

    def children(self: Any, tx: Tx) -> Mapping[str, Any]:
        make = Make(provider="p-1", what="m")
        return {"m": make, "late": Child(Both(first="x", second="b"), after=("m",))}

    kind = hall.vary(Both, children=children, when_locked=QUEUE)
    holder = keep(hall, "b")
    root = hall.ask(kind(first="a", second="-"))
    hall.world.on_poll = lambda job: Running(5)
    hall.work(rounds=3)
    made = [e.external_id for e in hall.effects() if e.root_id == root.id]
    hall.world.on_poll = lambda job: Done("m") if job in made else Running(5)
    hall.work()
    ended = hall.task(root)
    (late,) = [task for task in hall.tasks() if task.key == "late"]
    assert (late.outcome, late.error and late.error["code"]) == ("failed", "locked")
    assert holder.id in late.message
    assert "“Keep b”" in late.message
    assert ended.outcome == "failed"
    assert (hall.locked("thing", "a"), hall.locked("thing", "x")) == ([], [])


def test_locks_are_reentrant_and_stronger_ones_are_taken_anew(hall: Stage) -> None:
    def locks(self: Any) -> Sequence[Lock]:
        return [shared("thing", self.first)]

    kind = hall.vary(Both, locks=locks)
    assert hall.run(Both(first="a", second="a")).outcome == "ok"
    assert hall.run(kind(first="a", second="b")).outcome == "ok"
    keep(hall, "a", LockMode.SHARED)
    refused = hall.run(kind(first="a", second="b"))
    assert "“Keep a”" in refused.message


def test_check_is_asked_again_once_the_locks_are_there(hall: Stage) -> None:
    asked: list[list[str]] = []

    def check(self: Any, tx: Any) -> None:
        asked.append(
            [row.id for row in locks_on(tx)] if tx.task is not None else ["enqueue"]
        )

    def locks_on(tx: Any) -> Any:
        from earmark.store import locks

        return locks.on(tx.store, "thing", "a")

    kind = hall.vary(Patient, check=check)
    holder = keep(hall, "a")
    task = hall.ask(kind(names=("a",)))
    hall.work()
    assert asked == [["enqueue"]]
    let_go(hall, holder)
    hall.work()
    assert asked == [["enqueue"], [task.id]]


@pytest.mark.parametrize("how", ["ends", "fails", "cancelled", "killed"])
def test_no_lock_survives_its_root(hall: Stage, how: str) -> None:
    def run(self: Touch, ctx: Ctx) -> str:
        if how == "fails":
            raise RuntimeError("the author's mistake")
        assert hall.locked("thing", "a") == hall.locked("thing", "b") == [ctx.task.id]
        return "touched"

    kind = hall.vary(Touch, run=run)
    task = hall.ask(kind(names=("a", "b")))
    if how == "cancelled":
        (claimed,) = hall.claim()
        plan(hall.engine, claimed, kind(names=("a", "b")))
        cancel(hall.engine, task.id, "somebody")
        assert hall.locked("thing", "a") == [task.id]
        hall.kill()
    elif how == "killed":
        (claimed,) = hall.claim()
        plan(hall.engine, claimed, kind(names=("a", "b")))
        hall.kill()
        assert hall.locked("thing", "a") == [task.id]
    hall.work()
    assert hall.task(task).done
    assert (hall.locked("thing", "a"), hall.locked("thing", "b")) == ([], [])


def test_a_place_in_line_is_kept_while_what_is_wanted_grows(hall: Stage) -> None:
    """Its children's locks may be others the second time; what it queued for first is
    not forgotten, so that those behind it are woken."""
    wanted = ["a"]

    def locks(self: Patient) -> Sequence[Lock]:
        return [exclusive("thing", name) for name in wanted]

    kind = hall.vary(Patient, locks=locks)
    holder = keep(hall, "a")
    first = hall.ask(kind(names=()))
    hall.work()
    behind = hall.ask(Patient(names=("a",)))
    hall.work()
    wanted[:] = ["b"]
    let_go(hall, holder)
    hall.work()
    assert [hall.task(one).outcome for one in (first, behind)] == ["ok", "ok"]


def test_a_root_may_be_asked_in_one_transaction_with_its_rival(hall: Stage) -> None:
    def both(tx: Any) -> list[Task]:
        return [Patient(names=("a",)).enqueue(tx) for _ in range(2)]

    rivals = transact(hall.engine, both)
    hall.work()
    ends = [hall.engine.read(lambda tx, r=r: tasks.get(tx, r.id)) for r in rivals]  # type: ignore[misc]
    assert [end.outcome for end in ends] == ["ok", "ok"]
