"""Plan: children, placeholders and locks together or not at all (invariant 6)."""

from collections.abc import Mapping
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Child, Command
from earmark.domain.errors import BadInput
from earmark.domain.outcome import Done, Running
from earmark.engine.promise import checked_plan
from earmark.store import locks
from tests.engine.world import Make, MakeAll, MakeTwice, Stage


def holders(stage: Stage) -> list[Any]:
    return list(stage.engine.read(lambda tx: locks.on(tx, "things", "p-1")))


def test_all_is_promised_before_anything_is_sent(stage: Stage) -> None:
    promised: list[int] = []

    def count(what: str, ctx: Ctx) -> str:
        promised.append(len(stage.effects()))
        return stage.world.make(what, ctx)

    stage.world.on_send = count
    ended = stage.run(MakeAll(provider="p-1", whats=("a", "b", "c"), join=True))
    assert promised == [4, 4, 4, 4]
    assert (ended.outcome, ended.result) == ("ok", "a!+b!+c!!")
    assert stage.world.sent[-1] == "a!+b!+c!"
    assert holders(stage) == []


def test_a_composite_of_composites_is_promised_whole(stage: Stage) -> None:
    promised: list[int] = []

    def count(what: str, ctx: Ctx) -> str:
        promised.append(len(stage.effects()))
        return stage.world.make(what, ctx)

    stage.world.on_send = count
    ended = stage.run(MakeTwice(provider="p-1", whats=("a", "b")))
    assert promised == [4] * 4
    assert ended.result == "a! b! a! b!"


def test_a_broken_plan_leaves_nothing_but_a_clear_failure(stage: Stage) -> None:
    ended = stage.run(MakeAll(provider="p-1", whats=("a",), broken=True))
    assert ended.outcome == "failed"
    assert "the author's plan is broken" in ended.message
    assert (stage.effects(), len(stage.tasks()), holders(stage)) == ([], 1, [])


def test_no_children_is_a_plan_too(stage: Stage) -> None:
    assert stage.run(MakeAll(provider="p-1", whats=())).outcome == "ok"


def test_locks_are_held_until_the_root_ends_and_name_their_task(stage: Stage) -> None:
    first = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    stage.work(rounds=1)
    assert [row.id for row in holders(stage)] == [first.id]
    second = stage.ask(MakeAll(provider="p-1", whats=("b",)))
    stage.work()
    refused = stage.task(second)
    assert (refused.outcome, refused.error and refused.error["code"]) == (
        "failed",
        "locked",
    )
    assert first.id in refused.message
    assert stage.task(first).outcome == "ok"
    assert stage.run(MakeAll(provider="p-1", whats=("b",))).outcome == "ok"


def test_no_lock_goes_with_a_part(stage: Stage) -> None:
    make = stage.world.make
    stage.world.on_send = lambda what, ctx: "b" if what == "b" else make(what, ctx)
    stage.world.on_poll = lambda job: Running(1) if job == "b" else Done("a!")
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work(rounds=4)
    assert sorted(task.state for task in stage.tasks()[1:]) == ["done", "waiting"]
    assert [row.id for row in holders(stage)] == [root.id]


PLANS: list[tuple[dict[str, tuple[str, ...]], str]] = [
    ({"a": ("b",), "b": ("a",)}, "a circle of after: a, b"),
    ({"a": ("a",)}, "a circle of after: a"),
    ({"a": ("z",)}, "'z', which is not in the plan"),
]


@pytest.mark.parametrize(("after", "message"), PLANS)
def test_impossible_orders_are_refused(
    after: dict[str, tuple[str, ...]], message: str
) -> None:
    children = {
        key: Child(Make(provider="p-1", what=key), after=needs)
        for key, needs in after.items()
    }
    with pytest.raises(BadInput, match=message):
        checked_plan(MakeAll(provider="p-1", whats=()), children, {})


def test_a_plan_with_a_circle_fails_its_task(stage: Stage) -> None:
    class Circle(MakeAll):
        title = "A circle"

        def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
            make = Make(provider=self.provider, what="a")
            return {"a": Child(make, after=("b",)), "b": Child(make, after=("a",))}

    stage.engine.commands.register(Circle)
    ended = stage.run(Circle(provider="p-1", whats=()))
    assert "a circle of after" in ended.message
    assert holders(stage) == []
