"""What authors get wrong in plans, locks, hooks and parameters: a clear failed task
that lets go of its locks when nothing can be at the provider, else one that is held
for a person (rules 3, 4, 11, 13; invariants 3, 6)."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Child, Doubt
from earmark.domain.errors import BadInput, Unavailable
from earmark.domain.lock import Lock
from earmark.domain.outcome import Done, Found, Job, Running
from earmark.domain.task import Task
from earmark.engine.due import ERROR_BUDGET
from earmark.engine.perform import perform
from earmark.engine.promise import checked_plan
from earmark.store.schema import tasks as task_table
from tests.engine.world import Make, MakeAll, Stage


def make(what: str = "a") -> Make:
    return Make(provider="p-1", what=what)


def raising(*_: Any) -> Any:
    raise RuntimeError("the author's mistake")


def endless(composite: MakeAll, tx: Tx) -> Mapping[str, Any]:
    """Children that are their parent again, for ever."""
    return {"again": composite}


def assert_clear_failure(stage: Stage, task: Task, words: str) -> None:
    ended = stage.task(task)
    assert ended.outcome == "failed", ended
    assert words in ended.message, ended.message
    assert (stage.locked(), stage.effects(), stage.world.sent) == ([], [], [])
    assert len(stage.tasks()) == 1


PLANS: list[tuple[Any, str]] = [
    (None, "no mapping"),
    ([make()], "no mapping"),
    ({"a": 3}, "no command"),
    ({"a": Make}, "no command"),
    ({1: make()}, "cannot be a child's key"),
    ({"": make()}, "cannot be a child's key"),
    ({"a": Child(make(), after=("z",))}, "not in the plan"),
    ({"a": Child(make(), after=3)}, "after"),  # type: ignore[arg-type]
    ({"a": Child(make(), weight=-1)}, "weight"),
    ({"a": Child(make(), weight=0.5)}, "weight"),  # type: ignore[arg-type]
    ({"a": Child(make(), weight=1 << 62)}, "weight"),
    ({"a": Make(provider="nobody", what="a")}, "nobody"),
]


@pytest.mark.parametrize(("plan", "words"), PLANS)
def test_what_is_no_plan_is_a_clear_failure(
    stage: Stage, plan: Any, words: str
) -> None:
    kind = stage.vary(MakeAll, children=lambda self, tx: plan)
    task = stage.ask(kind(provider="p-1", whats=()))
    stage.work()
    assert_clear_failure(stage, task, words)


def test_a_plan_of_100_000_children_is_refused(stage: Stage) -> None:
    plan = {f"k{n}": make() for n in range(100_000)}
    kind = stage.vary(MakeAll, children=lambda self, tx: plan)
    task = stage.ask(kind(provider="p-1", whats=()))
    stage.work()
    assert_clear_failure(stage, task, "room for 2500 tasks")


def test_a_plan_within_itself_for_ever_is_refused(stage: Stage) -> None:
    kind = stage.vary(MakeAll, children=endless)
    task = stage.ask(kind(provider="p-1", whats=()))
    stage.work()
    assert_clear_failure(stage, task, "levels")


def test_a_long_chain_is_ordered_in_no_time() -> None:
    """A plan is made inside a transaction, which on SQLite nobody else can write
    beside: its order must not take the square of its length."""
    keys = [f"k{n}" for n in range(8_000)]
    befores = [(), *((key,) for key in keys)]
    pairs = zip(keys, befores, strict=False)
    plan = {key: Child(make(), after=after) for key, after in pairs}
    backwards = dict(reversed(plan.items()))
    began = time.process_time()
    assert list(checked_plan(MakeAll(provider="p-1", whats=()), backwards, {}))
    assert time.process_time() - began < 2


def test_after_the_same_sibling_twice_is_after_it_once(stage: Stage) -> None:
    plan = {"a": make(), "b": Child(make("b"), after=("a", "a"))}
    kind = stage.vary(MakeAll, children=lambda self, tx: plan)
    assert stage.run(kind(provider="p-1", whats=("a", "b"))).result == "a! b!"


LOCKS: list[tuple[Any, str]] = [
    (raising, "the author's mistake"),
    (lambda self: None, "NoneType"),
    (lambda self: ["things"], "which is no lock"),
    (lambda self: [Lock("things", 5)], "lock"),  # type: ignore[arg-type]
    (lambda self: [Lock("things", "")], "lock"),
    (lambda self: [Lock("k" * 33, "n")], "lock"),
    (lambda self: [Lock("things", "n" * 201)], "lock"),
    (lambda self: [Lock("things", "n\x00")], "lock"),
    (lambda self: [Lock("things", "n\ud800")], "lock"),
    (lambda self: [Lock("things", "p-1", "mine")], "lock"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("locks", "words"), LOCKS)
@pytest.mark.parametrize("place", ["root", "child"])
def test_locks_that_are_none_are_a_clear_failure(
    stage: Stage, locks: Any, words: str, place: str
) -> None:
    kind = stage.vary(Make, locks=locks)
    if place == "root":
        task = stage.ask(kind(provider="p-1", what="a"))
    else:
        plan = {"a": kind(provider="p-1", what="a")}
        above = stage.vary(MakeAll, children=lambda self, tx: plan)
        task = stage.ask(above(provider="p-1", whats=()))
    stage.work()
    assert_clear_failure(stage, task, words)


@pytest.mark.parametrize("what", ["a\x00b", "\ud800"], ids=["nul", "half a sign"])
def test_text_that_is_none_is_refused(stage: Stage, what: str) -> None:
    """On both stores, as a parameter, as an object's name, and in a list."""
    for command in (
        Make(provider="p-1", what=what),
        Make(provider=what, what="bell"),
        MakeAll(provider="p-1", whats=("bell", what)),
    ):
        with pytest.raises(BadInput, match="is no text"):
            stage.ask(command)
    assert stage.tasks() == []


def test_a_child_with_text_that_is_none_fails_its_root(stage: Stage) -> None:
    def children(self: MakeAll, tx: Tx) -> Any:
        return {"one": Make(provider="p-1", what="\x00")}

    kind = stage.vary(MakeAll, children=children)
    root = stage.run(kind(provider="p-1", whats=("bell",)))
    assert root.outcome == "failed"
    assert "is no text" in str(root.error)


@pytest.mark.parametrize("error", [RuntimeError, Unavailable, SystemExit])
def test_a_check_that_raises_under_the_locks(stage: Stage, error: Any) -> None:
    """It was asked at enqueue, and is asked again once the locks are held."""
    asked: list[list[str]] = []

    def check(self: Any, tx: Any) -> None:
        asked.append([self.provider])
        if len(asked) > 1:
            raise error("not any more")

    kind = stage.vary(MakeAll, check=check)
    task = stage.ask(kind(provider="p-1", whats=("a",)))
    stage.work()
    assert len(asked) == 2
    assert_clear_failure(stage, task, "not any more")


def test_a_check_that_returns_nonsense_has_not_refused(stage: Stage) -> None:
    kind = stage.vary(Make, check=lambda self, tx: "no!")
    assert stage.run(kind(provider="p-1", what="a")).outcome == "ok"


@pytest.mark.parametrize("result", [raising, lambda *_: object()])
def test_a_finish_that_goes_wrong_names_what_is_there(
    stage: Stage, result: Any
) -> None:
    kind = stage.vary(MakeAll, finish=result)
    ended = stage.run(kind(provider="p-1", whats=("a", "b")))
    assert (ended.outcome, stage.locked()) == ("failed", [])
    assert ended.error is not None
    assert len(ended.error["left_behind"]) == 2


@pytest.mark.parametrize("many", [False, True])
def test_a_poll_of_nonsense_for_ever_is_held(stage: Stage, many: bool) -> None:
    def poll_many(cls: Any, ctx: Ctx, jobs: Mapping[str, Job]) -> Any:
        return dict.fromkeys(jobs, "what?")

    members = {"poll_many": classmethod(poll_many)} if many else {}
    kind = stage.vary(Make, poll=lambda self, ctx, job: "what?", **members)
    task = stage.ask(kind(provider="p-1", what="a"))
    sane = stage.ask(make("b"))
    stage.work(rounds=ERROR_BUDGET + 3)
    held = stage.task(task)
    assert (held.state, held.outcome) == ("held", None)
    assert "'what?'" in held.message
    assert stage.task(sane).outcome == "ok"


def lose(what: str, ctx: Ctx) -> str:
    raise ConnectionResetError("lost")


FOUND: list[Any] = [
    None,
    7,
    [None],
    [Found(None, mark="*")],  # type: ignore[arg-type]
    [Found("", mark="*")],
    [Found(3, mark="*")],  # type: ignore[arg-type]
    [Found("a\x00b", mark="*")],
    [Found("j", mark="*", done="yes")],  # type: ignore[arg-type]
]


def of_token(seen: Any, token: str) -> Any:
    """The same, with marks `*` that prove it ours."""
    if not isinstance(seen, list):
        return seen
    return [
        Found(f.id, token, f.done) if isinstance(f, Found) and f.mark else f
        for f in seen
    ]


@pytest.mark.parametrize("seen", FOUND, ids=str)
@pytest.mark.parametrize("many", [False, True])
def test_nonsense_from_find_is_held_and_harms_no_other(
    stage: Stage, seen: Any, many: bool
) -> None:
    """Also none of the same command that was asked about in the same batch."""

    def one(self: Any, ctx: Ctx) -> Any:
        if self.what == "bad":
            return of_token(seen, ctx.token)
        return ctx.connect(type(stage.world)).find(ctx.token)

    def find_many(cls: Any, ctx: Ctx, doubts: Sequence[Doubt]) -> Any:
        return {
            d.token: of_token(seen, d.token)
            if d.command.what == "bad"  # type: ignore[attr-defined]
            else stage.world.find(d.token)
            for d in doubts
        }

    def poll_many(cls: Any, ctx: Ctx, jobs: Mapping[str, Job]) -> Any:
        return {token: stage.world.poll(job.id) for token, job in jobs.items()}

    members: dict[str, Any] = {"find": one}
    if many:
        members |= {
            "find_many": classmethod(find_many),
            "poll_many": classmethod(poll_many),
        }
    kind = stage.vary(Make, **members)

    def send(what: str, ctx: Ctx) -> str:
        stage.world.make(what, ctx)
        return lose(what, ctx)

    stage.world.on_send = send
    bad = stage.ask(kind(provider="p-1", what="bad"))
    good = [stage.ask(kind(provider="p-1", what=f"good{n}")) for n in range(3)]
    stage.work(rounds=2 * ERROR_BUDGET)
    assert [stage.task(one).outcome for one in good] == ["ok"] * 3
    held = stage.task(bad)
    assert (held.state, held.outcome) == ("held", None), held
    assert stage.world.sent.count("bad") == 1


def test_what_find_many_leaves_out_was_not_asked_about(stage: Stage) -> None:
    """Leaving a token out is no word that nothing is there: it is never sent again for
    that, and held when it goes on."""
    kind = stage.vary(Make, find_many=classmethod(lambda cls, ctx, doubts: {}))
    stage.world.on_send = lose
    task = stage.ask(kind(provider="p-1", what="a"))
    stage.work(rounds=ERROR_BUDGET + 3)
    assert (stage.task(task).state, stage.world.sent) == ("held", ["a"])
    assert "said nothing about" in stage.task(task).message


def spoil(stage: Stage, task: Task, **columns: Any) -> None:
    """The row, as an older version of the command wrote it."""
    where = task_table.c.id == task.id
    stage.engine.write(
        lambda tx: tx.execute(sa.update(task_table).where(where).values(**columns))
    )


OLD = {"params": {"provider": "p-1", "old_name": "a"}}


def test_old_parameters_of_what_was_never_sent_fail(stage: Stage) -> None:
    task = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    spoil(stage, task, **OLD)
    stage.work()
    assert_clear_failure(stage, task, "old_name: is not a parameter")


def test_old_parameters_of_a_planned_child_fail_its_root(stage: Stage) -> None:
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work(rounds=1)
    spoil(stage, stage.tasks()[1], **OLD)
    stage.work()
    assert stage.task(root).outcome == "failed"
    assert "old_name: is not a parameter" in stage.task(root).message
    assert stage.locked() == []
    assert all(task.done for task in stage.tasks())


@pytest.mark.parametrize("where", ["bound", "in_doubt", "sending"])
def test_old_parameters_of_what_may_be_there_are_held(stage: Stage, where: str) -> None:
    stage.world.on_poll = lambda job: Running(5)
    if where == "in_doubt":
        stage.world.on_send = lose
    root = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    stage.work(rounds=1)
    child = stage.tasks()[1]
    (claimed,) = stage.claim("w-2")
    if where == "sending":
        stage.intend(claimed)
    else:
        perform(stage.engine, claimed)
    assert stage.effects()[0].state == where
    spoil(stage, child, **OLD)
    stage.kill("w-2")
    stage.check()
    assert stage.task(child).state == "held"
    assert "old_name: is not a parameter" in stage.task(child).message
    assert not stage.task(root).done
    assert stage.locked() == [root.id]


@pytest.mark.parametrize("at", ["queued", "bound"])
def test_a_version_that_nobody_knows_waits_for_one_who_does(
    stage: Stage, at: str
) -> None:
    """Rule 19: it is not failed, a newer worker may come; nor polled as what it is
    not."""
    stage.world.on_poll = lambda job: Running(5)
    task = stage.ask(make())
    if at == "bound":
        stage.work(rounds=1)
        assert stage.effects()[0].state == "bound"
    spoil(stage, task, command_version=7)
    state = stage.task(task).state
    stage.world.on_poll = lambda job: Done("wrong")
    stage.work()
    assert (stage.task(task).state, stage.task(task).outcome) == (state, None)
    spoil(stage, task, command_version=1)
    stage.world.on_poll = lambda job: Done("right")
    stage.work()
    assert stage.task(task).result == "right"
