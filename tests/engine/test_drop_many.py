"""A large plan is stopped in a few statements, and every part of it ends as it would
have ended alone."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.command import Retry
from earmark.domain.errors import Refused
from earmark.domain.outcome import Failed
from earmark.engine.cancel import cancel
from earmark.engine.expire import expire
from earmark.engine.perform import perform
from earmark.store import journal
from earmark.store.schema import audit, tasks
from earmark.testing import invariants
from tests.engine.world import Make, MakeAll, Stage

MANY = tuple(f"thing-{n:03}" for n in range(60))


def planned(stage: Stage, **more: Any) -> Any:
    root = stage.ask(MakeAll(provider="p-1", whats=MANY, join=True, **more))
    (claimed,) = stage.claim()
    perform(stage.engine, claimed)
    return root


def outcomes(stage: Stage) -> list[str]:
    return [str(task.outcome) for task in stage.tasks()[1:]]


def test_cancelled(stage: Stage) -> None:
    root = planned(stage)
    ended = cancel(stage.engine, root.id, "olivia")
    assert (ended.state, ended.outcome) == ("done", "cancelled")
    assert outcomes(stage) == ["cancelled"] * 61
    assert {e.state for e in stage.effects()} == {"dropped"}
    assert stage.world.sent == []
    assert invariants.broken(stage.engine) == []
    child = stage.tasks()[1]
    lines = stage.engine.read(lambda tx: journal.lines(tx, child.id))
    assert "Cancelled by olivia" in lines[-1].text
    noted = sa.select(sa.func.count()).select_from(audit)
    noted = noted.where(audit.c.action == "settle")
    assert stage.engine.read(lambda tx: tx.execute(noted).scalar_one()) == 62


def test_one_of_them_fails(stage: Stage) -> None:
    root = planned(stage)
    stage.world.on_poll = lambda job: Failed("no")
    (first,) = stage.claim(limit=1)
    perform(stage.engine, first)
    stage.check()
    ended = stage.task(root)
    assert (ended.state, ended.outcome) == ("done", "failed")
    assert ended.error is not None
    assert ended.error["message"] == "no"
    assert sorted(set(outcomes(stage))) == ["cancelled", "failed"]
    assert invariants.broken(stage.engine) == []


def run_out_of_time(stage: Stage, root: Any) -> None:
    def late(tx: Any) -> None:
        over = tx.now - timedelta(seconds=1)
        mine = sa.update(tasks).where(tasks.c.id == root.id)
        tx.execute(mine.values(end_by=over))

    stage.engine.write(late)
    expire(stage.engine)


def test_out_of_time(stage: Stage) -> None:
    root = planned(stage)
    run_out_of_time(stage, root)
    ended = stage.task(root)
    assert (ended.state, ended.outcome) == ("done", "expired")
    assert set(outcomes(stage)) == {"expired"}
    assert ended.message.count("Its time was over.") == 1


def test_what_was_sent_before_has_not_expired(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if that was refused, and is to be tried again (invariant 7)."""
    again = Retry(first=timedelta(hours=1), on=frozenset({"busy"}))
    monkeypatch.setattr(Make, "retry", again)

    def refuse(what: str, ctx: Any) -> str:
        raise Refused("Not now.", code="busy")

    stage.world.on_send = refuse
    root = planned(stage)
    (first,) = stage.claim(limit=1)
    perform(stage.engine, first)
    assert stage.task(first).state == "queued"
    run_out_of_time(stage, root)
    assert outcomes(stage).count("failed") == 1
    assert stage.task(first).outcome == stage.task(root).outcome == "failed"
    assert set(outcomes(stage)) == {"expired", "failed"}


@pytest.mark.parametrize("size", [60])
def test_in_a_few_statements(stage: Stage, size: int) -> None:
    root = planned(stage)
    counted: list[str] = []

    def count(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        counted.append(statement)

    sa.event.listen(stage.engine.database.engine, "before_cursor_execute", count)
    cancel(stage.engine, root.id, "olivia")
    sa.event.remove(stage.engine.database.engine, "before_cursor_execute", count)
    # One by one it would be more than ten for each.
    assert len(counted) < size
