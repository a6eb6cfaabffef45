"""The invariants of undo (rules 8, 9) can fail: rows that are changed behind the
engine's back are told, each by its token."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx
from earmark.domain.errors import Refused
from earmark.store.schema import placeholders, tasks
from earmark.testing import invariants
from tests.engine.test_undo import ALL, tower
from tests.engine.world import Stage, World


@pytest.fixture
def stage(stage: Stage) -> Stage:
    def on_send(what: str, ctx: Ctx) -> str:
        if what == "bad":
            raise Refused("no room", code="quota")
        return ctx.connect(World).make(what, ctx)

    for command in ALL:
        stage.engine.commands.register(command)
    stage.world.on_send = on_send
    return stage


def _effect(stage: Stage, what: str) -> str:
    """The token of what was made."""
    made = next(
        t.id for t in stage.tasks() if not t.undoes_id and t.params.get("what") == what
    )
    return next(str(it.id) for it in stage.effects() if it.task_id == made)


def _change(stage: Stage, table: sa.Table, row: str, **values: Any) -> None:
    change = sa.update(table).where(table.c.id == row).values(**values)
    stage.engine.write(lambda tx: tx.execute(change))


def _told(stage: Stage) -> str:
    return "\n".join(invariants.broken(stage.engine))


def test_what_stays_is_named_and_not_only_as_many(stage: Stage) -> None:
    root = stage.run(tower("a>b>bad"))
    assert _told(stage) == ""
    token = _effect(stage, "a")
    _change(stage, placeholders, token, undone_at=None)
    named = ["b! at scripted (“Make b”)"]
    error = dict(root.error or {}, left_behind=named)
    _change(stage, tasks, root.id, error=error)
    assert f"leaves {token} behind, and names ['b!']" in _told(stage)


def test_a_step_that_is_done_has_taken_its_effect_back(stage: Stage) -> None:
    stage.run(tower("a>bad"))
    token = _effect(stage, "a")
    _change(stage, placeholders, token, undone_at=None)
    assert f"{token} was undone None, by Unmake" in _told(stage)


def test_nothing_is_taken_back_of_what_ended_well(stage: Stage) -> None:
    root = stage.run(tower("a"))
    token = _effect(stage, "a")
    _change(stage, placeholders, token, undone_at=root.finished_at)
    assert f"asks for: {token} is taken back, of Tower" in _told(stage)


def test_nothing_is_taken_back_that_was_refused(stage: Stage) -> None:
    root = stage.run(tower("a>bad"))
    token = _effect(stage, "bad")
    _change(stage, placeholders, token, undone_at=root.finished_at)
    assert f"{token} is taken back, and was refused" in _told(stage)


def test_what_came_last_is_taken_back_first(stage: Stage) -> None:
    stage.run(tower("a>b>bad"))
    token = _effect(stage, "a")
    step = next(t for t in stage.tasks() if t.undoes_id == token)
    early = step.created_at - timedelta(days=1)
    _change(stage, tasks, step.id, created_at=early)
    assert "what came last is taken back first: Unmake “Unmake a”" in _told(stage)


def test_what_a_provider_has_is_told_by_its_token(stage: Stage) -> None:
    stage.run(tower("a>b>bad"))
    one, other = _effect(stage, "a"), _effect(stage, "b")
    stage.run(tower("c"))
    stays = _effect(stage, "c")
    done = {one: 1, other: 1, stays: 1}
    done |= {e.id: 1 for e in stage.effects() if e.operation == "absolute"}

    def told(*taken: str) -> list[str]:
        return invariants.broken_at_provider(stage.engine, done, taken=taken)

    assert told(one, other) == []
    assert told(other) == [f"what was taken back is gone: {one} is left"]
    assert told(one, other, stays) == [
        f"nothing is taken back but what is to be: {stays} is gone"
    ]
