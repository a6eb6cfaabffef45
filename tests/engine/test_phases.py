"""Composites: order, nesting, phases, and the one instant at which the last child ends
(rules 8, 10, 11, 13; invariants 3, 6)."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Child
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Running
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.cancel import cancel
from earmark.engine.finish import finish
from earmark.engine.perform import perform
from tests.engine.world import Join, Make, MakeAll, MakeTwice, Stage


def make(what: str) -> Make:
    return Make(provider="p-1", what=what)


def plan_of(plan: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda self, tx: plan


def joined(self: Any, tx: Tx, results: Any) -> str:
    """Everything that its children have returned, in the plan's order."""
    kinds = {"inner": MakeAll}
    keys = results.keys()
    return " ".join(results.of(key, kinds.get(key, Make)) for key in keys)


def phased(stage: Stage, *phases: Any, **members: Any) -> MakeAll:
    """A composite of these phases, each a plan or what makes one of the results."""

    def next_phase(self: Any, tx: Tx, results: Any) -> Any:
        count = len(results.keys())
        done = 0
        for phase in phases:
            if done >= count:
                return phase(results) if callable(phase) else phase
            done += len(phase) if isinstance(phase, Mapping) else 1
        return {}

    first = phases[0]
    kind = stage.vary(
        MakeAll,
        children=plan_of(first),
        next_phase=next_phase,
        **{"finish": joined} | members,
    )
    return kind(provider="p-1", whats=())


def test_phases_follow_each_other_and_know_results(stage: Stage) -> None:
    """`after` may name a child of an earlier phase, whose result it then has."""
    first = {"a": make("a"), "b": make("b")}
    ended = stage.run(
        phased(
            stage,
            first,
            lambda results: {
                "c": make(results.of("a", Make) + "c"),
                "d": Child(Join(provider="p-1", what="a+c"), after=("a", "c")),
            },
        )
    )
    assert ended.result == "a! b! a!c! a!+a!c!!"
    assert [t.key for t in stage.tasks()[1:]] == ["a", "b", "c", "d"]
    assert stage.world.sent == ["a", "b", "a!c", "a!+a!c!"]


def test_many_phases_and_composites_among_them(stage: Stage) -> None:
    inner = MakeTwice(provider="p-1", whats=("x", "y"))
    one = MakeAll(provider="p-1", whats=("i", "j"))
    plan = phased(
        stage,
        {"a": make("a")},
        {"b": make("b")},
        {"inner": Child(one, after=("a", "b"))},
        {"c": make("c")},
    )
    assert stage.run(plan).result == "a! b! i! j! c!"
    twice = stage.vary(
        MakeAll,
        children=plan_of({"a": make("a"), "inner": Child(inner, after=("a",))}),
        finish=lambda self, tx, results: results.of("inner", MakeTwice),
    )
    assert stage.run(twice(provider="p-1", whats=())).result == "x! y! x! y!"
    assert stage.locked() == []


NONSENSE: list[tuple[Any, str]] = [
    (None, "next_phase returned None"),
    (["b"], "no mapping"),
    ({"b": 3}, "no command"),
    ({"a": make("again")}, "an earlier phase has a child 'a' already"),
    ({"b": Child(make("b"), after=("z",))}, "not in the plan"),
    ({"b": Child(make("b"), after=("b",))}, "a circle"),
]


@pytest.mark.parametrize(("phase", "words"), NONSENSE)
def test_a_phase_that_is_none_fails_and_names_what_is_there(
    stage: Stage, phase: Any, words: str
) -> None:
    ended = stage.run(phased(stage, {"a": make("a")}, phase))
    assert (ended.outcome, stage.locked()) == ("failed", [])
    assert words in ended.message
    assert ended.error is not None
    assert len(ended.error["left_behind"]) == 1
    assert stage.world.sent == ["a"]


def test_a_phase_that_raises_fails_and_names_what_is_there(stage: Stage) -> None:
    def raising(results: Any) -> Any:
        raise RuntimeError("the author's mistake")

    ended = stage.run(phased(stage, {"a": make("a")}, raising))
    assert ended.outcome == "failed"
    assert "the author's mistake" in ended.message
    assert "a!" in ended.message


class Locking(Make):
    """Makes a thing under a lock of its own."""

    title = "Make {what}, locking"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("spot", "s")]


def test_a_later_phases_lock_that_another_holds_fails_the_root(stage: Stage) -> None:
    stage.engine.commands.register(Locking)
    stage.world.on_poll = lambda job: Running(5)
    holder = stage.ask(Locking(provider="p-1", what="h"))
    stage.work(rounds=2)
    held = stage.effects()[0].external_id
    stage.world.on_poll = lambda job: Running(5) if job == held else Done("m")
    late = {"b": Locking(provider="p-1", what="b")}
    ended = stage.run(phased(stage, {"a": make("a")}, late))
    assert (ended.error and ended.error["code"], stage.locked()) == ("locked", [])
    assert holder.id in ended.message
    assert "m at scripted" in ended.message


def to_finish(stage: Stage, root: Task) -> Task:
    """Work until the root is queued to be finished, and claim it."""
    for _ in range(20):
        if stage.task(root).step == "finish" and stage.task(root).state == "queued":
            break
        for task in stage.claim():
            perform(stage.engine, task)
        stage.check()
    (claimed,) = stage.claim("w-2")
    assert (claimed.id, claimed.step) == (root.id, "finish")
    return claimed


@pytest.mark.parametrize("committed", [False, True])
def test_a_crash_around_the_commit_of_a_phase(stage: Stage, committed: bool) -> None:
    asked = phased(stage, {"a": make("a")}, {"b": make("b")})
    root = stage.ask(asked)
    claimed = to_finish(stage, root)
    if committed:
        finish(stage.engine, claimed, asked)
    stage.kill("w-2")
    assert stage.task(root).state == ("waiting" if committed else "queued")
    stage.work()
    assert stage.task(root).result == "a! b!"
    assert stage.world.sent == ["a", "b"]


def test_cancelled_between_phases(stage: Stage) -> None:
    root = stage.ask(phased(stage, {"a": make("a")}, {"b": make("b")}))
    claimed = to_finish(stage, root)
    cancel(stage.engine, root.id, "somebody")
    perform(stage.engine, claimed)
    ended = stage.task(root)
    assert (ended.outcome, stage.world.sent, stage.locked()) == ("cancelled", ["a"], [])
    assert ended.error is not None
    assert len(ended.error["left_behind"]) == 1


def test_cancelled_when_no_phase_is_left_has_ended_well(stage: Stage) -> None:
    """There is nothing more to stop: what was asked for is there."""
    root = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    claimed = to_finish(stage, root)
    cancel(stage.engine, root.id, "somebody")
    perform(stage.engine, claimed)
    assert stage.task(root).outcome == "ok"


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("second", [Done("b"), Failed("no")])
def test_two_last_children_at_the_same_instant(
    stage: Stage, second: Any, round_: int
) -> None:
    """The parent is woken once, in the transaction of whoever is last (invariant 6)."""
    from earmark.domain.states import PlaceholderState
    from earmark.engine.due import due
    from earmark.engine.settle import settle_job

    stage.world.on_poll = lambda job: Running(5)
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work(rounds=3)
    stage.hurry()
    checks = due(stage.engine, "p-1", PlaceholderState.BOUND)
    barrier = threading.Barrier(2)
    escaped: list[BaseException] = []

    def settle(number: int) -> None:
        check = checks[number]
        outcome = Done("a") if number == 0 else second
        barrier.wait(10)
        try:
            settle_job(stage.engine, check.effect, check.command, outcome)
        except BaseException as error:
            escaped.append(error)

    threads = [threading.Thread(target=settle, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert escaped == []
    assert stage.task(root).pending == 0
    well = isinstance(second, Done)
    assert stage.task(root).state == ("queued" if well else "done")
    stage.work()
    assert stage.task(root).outcome == ("ok" if well else "failed")
    assert stage.locked() == []


def test_verdict_and_end_are_two_things(stage: Stage) -> None:
    """Rule 8: the verdict falls with the first failure; the end, and the locks, wait
    for everything that was sent."""
    stage.world.on_poll = lambda job: Running(5)
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b"), join=True))
    stage.work(rounds=3)
    jobs = {t.key: e.external_id for t in stage.tasks() for e in stage.effects()
            if e.task_id == t.id}  # fmt: skip
    stage.world.on_poll = lambda job: Failed("no") if job == jobs["a"] else Running(5)
    stage.check()
    now = stage.task(root)
    assert (now.verdict, now.done, stage.locked()) == ("failed", False, [root.id])
    assert [t.outcome for t in stage.tasks()[1:]] == ["failed", None, "cancelled"]
    stage.world.on_poll = lambda job: Done("b!")
    stage.work()
    now = stage.task(root)
    assert (now.outcome, stage.locked()) == ("failed", [])
    assert "b! at scripted" in now.message
    assert stage.world.sent == ["a", "b"]


def test_progress_is_by_weight_through_three_levels(stage: Stage) -> None:
    low = stage.vary(
        MakeAll,
        children=plan_of({"x": Child(make("x"), weight=3), "y": make("y")}),
    )(provider="p-1", whats=())
    middle = stage.vary(
        MakeAll, children=plan_of({"low": low, "z": make("z")}), finish=joined
    )(provider="p-1", whats=())
    top = stage.vary(
        MakeAll,
        children=plan_of({"middle": Child(middle, weight=3), "w": make("w")}),
    )(provider="p-1", whats=())
    stage.world.on_send = lambda what, ctx: what
    stage.world.on_poll = lambda job: Running(80 if job == "x" else 0)
    root = stage.ask(top)
    stage.work(rounds=3)
    by_title = {task.key: task.progress for task in stage.tasks()}
    # x: 80; low: 80*3/4; middle: 60/2; top: 30*3/4, each rounded down.
    assert by_title == {
        "": 22,
        "middle": 30,
        "w": 0,
        "low": 60,
        "z": 0,
        "x": 80,
        "y": 0,
    }
    assert stage.task(root).progress == 22


def test_all_weights_may_be_nothing(stage: Stage) -> None:
    plan = {"a": Child(make("a"), weight=0), "b": Child(make("b"), weight=0)}
    kind = stage.vary(MakeAll, children=plan_of(plan), finish=joined)
    assert stage.run(kind(provider="p-1", whats=())).result == "a! b!"


def test_a_late_composite_whose_plan_is_broken_fails_its_root(stage: Stage) -> None:
    inner = MakeAll(provider="p-1", whats=(), broken=True)
    plan = {"a": make("a"), "inner": Child(inner, after=("a",))}
    ended = stage.run(stage.vary(MakeAll, children=plan_of(plan))(
        provider="p-1", whats=()
    ))  # fmt: skip
    assert ended.outcome == "failed"
    assert "the author's plan is broken" in ended.message
    assert stage.locked() == []


def test_what_is_sent_after_others_has_their_results(stage: Stage) -> None:
    """And only theirs: a sibling that it does not come after is none of its own."""
    seen: dict[str, Sequence[str]] = {}

    def prepare(self: Make, ctx: Ctx) -> None:
        seen[self.what] = ctx.results.keys()

    kind = stage.vary(Make, prepare=prepare)
    plan = {
        key: Child(kind(provider="p-1", what=key), after=after)
        for key, after in {"a": (), "b": (), "c": ("a",), "d": ("c", "b")}.items()
    }
    stage.run(stage.vary(MakeAll, children=plan_of(plan))(provider="p-1", whats=()))
    assert seen == {"a": (), "b": (), "c": ("a",), "d": ("b", "c")}


MISREAD = [
    (
        "a",
        "This child does not come after 'a': it cannot read its result. Only what a "
        "child is planned after is read: Child(…, after=('b', 'a')).",
    ),
    ("z", "The plan has no child 'z'. Its children are 'a', 'b', 'c'."),
    ("c", "This child is 'c' itself: it has no result yet. It reads of 'b'."),
]


@pytest.mark.parametrize(("key", "said"), MISREAD)
def test_who_reads_a_result_that_is_not_there_is_told_what_to_write(
    stage: Stage, key: str, said: str
) -> None:
    def prepare(self: Make, ctx: Ctx) -> str:
        return ctx.results.of(key, Make)

    reader = stage.vary(Make, prepare=prepare)
    last = Child(reader(provider="p-1", what="c"), after=("b",))
    plan = {"a": make("a"), "b": Child(make("b"), after=("a",)), "c": last}
    ended = stage.run(stage.vary(MakeAll, children=plan_of(plan))(
        provider="p-1", whats=()
    ))  # fmt: skip
    (child,) = [it for it in stage.tasks() if it.key == "c"]
    assert (ended.outcome, child.error and child.error["code"]) == (
        "failed",
        "bad-input",
    )
    assert child.message == said


def test_a_finish_that_reads_an_unknown_key_is_told_those_there_are(
    stage: Stage,
) -> None:
    kind = stage.vary(
        MakeAll,
        children=plan_of({"a": make("a"), "b": make("b")}),
        finish=lambda self, tx, results: results.of("z", Make),
    )
    ended = stage.run(kind(provider="p-1", whats=()))
    assert "The plan has no child 'z'. Its children are 'a', 'b'." in ended.message


def test_results_are_of_a_plan_alone(stage: Stage) -> None:
    def prepare(self: Make, ctx: Ctx) -> str:
        return ctx.results.of("a", Make)

    ended = stage.run(stage.vary(Make, prepare=prepare)(provider="p-1", what="a"))
    assert "It was asked for by itself, so there is no child 'a'." in ended.message


def test_a_command_is_loaded_as_it_was_planned(stage: Stage) -> None:
    """What recovery reads from the row is what the plan wrote (invariant 8)."""
    stage.ask(MakeAll(provider="p-1", whats=("a",)))
    stage.work(rounds=1)
    child = stage.tasks()[1]
    assert describe.load(stage.engine, child) == make("a")
