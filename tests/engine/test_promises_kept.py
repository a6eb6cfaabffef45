"""Providers that do not keep what their connector declares, and the one class in which
only an exclusive lock and a recorded absence prove anything (rules 3, 4; invariant
4)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.command import Doubt
from earmark.domain.connector import EffectClass, Operation
from earmark.domain.errors import RegistrationRefused
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.outcome import Done, Found, Running
from earmark.engine.perform import perform
from earmark.store import journal, placeholders
from tests.engine.world import Make, MakeAll, Stage


def lose(what: str, ctx: Ctx) -> str:
    raise ConnectionResetError("lost")


def told(stage: Stage, task: Any) -> str:
    lines = stage.engine.read(lambda tx: journal.lines(tx, task.id))
    return "\n".join(f"{line.level}: {line.text}" for line in lines)


def test_a_token_that_made_two_is_adopted_once_and_said_loudly(stage: Stage) -> None:
    """The provider says that it deduplicates, and does not."""
    made: list[Found] = []

    def send(what: str, ctx: Ctx) -> str:
        made.append(Found(f"j{len(made)}", mark=ctx.token))
        return lose(what, ctx)

    def find(self: Any, ctx: Ctx) -> Sequence[Found]:
        # Shown late: by then the same token was sent again.
        return made if len(made) > 1 else []

    stage.world.on_send = send
    stage.world.on_poll = lambda job: Done(job)
    task = stage.ask(stage.vary(Make, find=find)(provider="p-1", what="a"))
    stage.work()
    assert (stage.task(task).outcome, stage.task(task).result) == ("ok", "j0")
    assert "error: A second one of ours, an orphan: j1." in told(stage, task)
    (effect,) = stage.effects()
    seen = stage.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    assert [row.external_id for row in seen if row.kind == "orphan"] == ["j1"]


@pytest.mark.parametrize("operation", ["identity", "token"])
def test_what_bears_another_mark_is_never_adopted(stage: Stage, operation: str) -> None:
    """It says that we choose the name, and makes up its own: held, not sent again."""
    stage.world.on_send = lose
    kind = stage.vary(
        Make,
        operation=operation,
        find=lambda self, ctx: [Found("made-up", mark="another")],
    )
    task = stage.run(kind(provider="p-1", what="a"))
    assert (task.state, stage.world.sent) == ("held", ["a"])
    assert "nothing proves that it is ours" in task.message


def test_an_absolute_state_that_never_comes_is_sent_again_only_within_bounds(
    stage: Stage,
) -> None:
    """It says that asking twice for the same state is harmless, and never reaches it:
    after a few sends a person is asked, and the lock is kept."""
    stage.world.on_send = lose
    kind = stage.vary(
        Make,
        operation="absolute",
        find=lambda self, ctx: [],
        locks=lambda self: [exclusive("things", self.provider)],
    )
    task = stage.ask(kind(provider="p-1", what="a"))
    for _ in range(30):
        stage.work(rounds=2)
    assert stage.task(task).state == "held"
    assert len(stage.world.sent) <= 5
    assert stage.locked() == [task.id]


class TaskListed(Make):
    """A provider with nothing but a list of tasks; one at a time by its lock."""

    title = "Make {what}, from a list"
    operation = "tasks"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("things", self.provider)]

    def find(self, ctx: Ctx) -> Sequence[Found]:
        jobs = ctx.connect(_world()).jobs
        return [Found(job) for job in jobs]


def _world() -> Any:
    from tests.engine.world import World

    return World


@pytest.fixture
def listed(stage: Stage) -> Stage:
    """A provider that has one strange job already."""
    stage.engine.commands.register(TaskListed)
    stage.world.jobs["strange"] = Running(1)
    return stage


@pytest.mark.parametrize(("new", "state"), [(0, "held"), (1, "done"), (2, "held")])
def test_of_what_is_new_since_one_is_ours_and_more_are_a_persons(
    listed: Stage, new: int, state: str
) -> None:
    def send(what: str, ctx: Ctx) -> str:
        for number in range(new):
            listed.world.jobs[f"new-{number}"] = Done("made")
        return lose(what, ctx)

    listed.world.on_send = send
    task = listed.ask(TaskListed(provider="p-1", what="a"))
    for _ in range(6):
        listed.work(rounds=4)
    assert listed.effects()[0].seen_before == ["strange"]
    now = listed.task(task)
    assert now.state == state, now
    assert (now.result == "made") == (new == 1)
    # With none to be seen it is sent again, once no earlier one can land.
    assert len(listed.world.sent) == (5 if new == 0 else 1)
    assert listed.locked() == ([] if state == "done" else [task.id])


@pytest.mark.parametrize("lock", [None, shared])
@pytest.mark.parametrize("place", ["root", "child"])
def test_without_an_exclusive_lock_it_is_refused(
    listed: Stage, lock: Any, place: str
) -> None:
    def locks(self: Any) -> Sequence[Lock]:
        return [] if lock is None else [lock("things", self.provider)]

    one: Any = listed.vary(TaskListed, locks=locks)(provider="p-1", what="a")
    if place == "child":
        plan = {"a": one}
        above = listed.vary(
            MakeAll, children=lambda self, tx: plan, locks=lambda self: []
        )
        one = above(provider="p-1", whats=())
    ended = listed.run(one)
    assert (ended.outcome, listed.world.sent) == ("failed", [])
    assert "needs an exclusive lock" in ended.message
    assert (listed.effects(), listed.locked()) == ([], [])


@pytest.mark.parametrize("landed", [False, True])
def test_two_alike_in_one_plan_are_told_apart(listed: Stage, landed: bool) -> None:
    """Their lock is their root's, which keeps others out but not each other: what is
    bound to one is never taken for the other's."""

    def send(what: str, ctx: Ctx) -> str:
        first = listed.world.sent == ["a"]
        if landed or not first:
            listed.world.jobs[f"{what}-{len(listed.world.sent)}"] = Done(what)
        return lose(what, ctx) if first else f"{what}-{len(listed.world.sent)}"

    listed.world.on_send = send
    one, two = (TaskListed(provider="p-1", what=what) for what in ("a", "b"))
    kind = listed.vary(MakeAll, children=lambda self, tx: {"a": one, "b": two})
    task = listed.ask(kind(provider="p-1", whats=("a", "b")))
    listed.work(rounds=1)
    for claimed in listed.claim():
        perform(listed.engine, claimed)
    listed.work()
    assert listed.task(task).result == "a b"
    assert sorted(effect.external_id for effect in listed.effects()) == (
        ["a-1", "b-2"] if landed else ["a-3", "b-2"]
    )


def test_nothing_is_adopted_while_one_alike_is_just_being_sent(listed: Stage) -> None:
    listed.world.on_send = lose
    one, two = (TaskListed(provider="p-1", what=what) for what in ("a", "b"))
    kind = listed.vary(MakeAll, children=lambda self, tx: {"a": one, "b": two})
    listed.ask(kind(provider="p-1", whats=("a", "b")))
    listed.work(rounds=1)
    first, second = listed.claim()
    perform(listed.engine, first)
    listed.intend(second)
    listed.world.jobs["the second's"] = Running(1)
    listed.check()
    assert [e.external_id for e in listed.effects()] == [None, None]
    assert "just being sent" in listed.task(first).message


def test_many_doubts_are_one_question(stage: Stage) -> None:
    asked: list[int] = []

    def find_many(cls: Any, ctx: Ctx, doubts: Sequence[Doubt]) -> Any:
        asked.append(len(doubts))
        return {d.token: [Found(d.token, d.token, Done("made"))] for d in doubts}

    stage.world.on_send = lose
    kind = stage.vary(Make, find_many=classmethod(find_many))
    tasks = [stage.ask(kind(provider="p-1", what=f"t{n}")) for n in range(25)]
    stage.work()
    assert {stage.task(task).outcome for task in tasks} == {"ok"}
    assert sum(asked) == 25
    assert len(asked) <= 4


MINUTE = timedelta(minutes=1)
UNSAFE: list[tuple[dict[str, Any], str]] = [
    ({"effect": EffectClass.TAG, "token_life": MINUTE * 60}, "only class `token`"),
    ({"token_life": MINUTE}, "may be forgotten"),
    ({"send_seconds": 0}, "above 0"),
    ({"send_seconds": -1}, "above 0"),
    ({"send_seconds": float("nan")}, "above 0"),
    ({"poll_seconds": float("inf")}, "above 0"),
    ({"poll_seconds": 0}, "above 0"),
    ({"visibility_lag": -MINUTE}, "not negative"),
    ({"max_in_flight": -MINUTE}, "not negative"),
    ({"effect": EffectClass.TAG, "max_in_flight": 0 * MINUTE}, "max_in_flight"),
    ({"effect": EffectClass.TASKS, "max_in_flight": 0 * MINUTE}, "max_in_flight"),
    ({"effect": EffectClass.ABSOLUTE, "max_in_flight": 0 * MINUTE}, "max_in_flight"),
    ({"visibility_lag": 20 * MINUTE}, "hold_after"),
    ({"source": ""}, "source"),
    ({"effect": "wish"}, "class"),
    ({"name": ""}, "name"),
]


@pytest.mark.parametrize(("values", "words"), UNSAFE)
def test_unsafe_declarations_are_refused(values: dict[str, Any], words: str) -> None:
    sound: dict[str, Any] = {
        "name": "op",
        "effect": EffectClass.TOKEN,
        "source": "this test",
    }
    assert Operation(**sound)
    with pytest.raises(RegistrationRefused, match=words):
        Operation(**sound | values)
