"""Rows of workers that ended are kept for a day, and while anything leans on them."""

from datetime import timedelta

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.engine.runtime import Engine
from earmark.store import workers
from earmark.store.database import Transaction
from earmark.store.schema import sends
from earmark.store.schema import workers as worker_table
from earmark.store.wakeups import Topic
from tests.store.test_queue import put, row

KEEP = timedelta(days=1)


def register(engine: Engine, name: str, state: str, days: float) -> None:
    def work(tx: Transaction) -> None:
        values = {
            "id": name, "zone": "default", "roles": ["*"], "commands": [], "slots": 1,
            "host": "h", "machine": "m", "pid": 1, "pid_started": 1.0,
        }  # fmt: skip
        workers.register(tx, values)
        tx.execute(
            sa.update(worker_table)
            .where(worker_table.c.id == name)
            .values(state=state, seen_at=tx.now - timedelta(days=days))
        )

    engine.write(work)


def left(engine: Engine) -> list[str]:
    engine.write(lambda tx: workers.prune(tx, tx.now - KEEP))
    query = sa.select(worker_table.c.id).order_by(worker_table.c.id)
    return list(engine.read(lambda tx: tx.execute(query).scalars().all()))


def test_only_those_that_ended_long_ago_go(engine: Engine) -> None:
    for state in ("live", "silent", "draining", "stopped", "gone"):
        register(engine, f"old-{state}", state, days=2)
        register(engine, f"new-{state}", state, days=0.5)
    assert [name for name in left(engine) if name.startswith("old")] == [
        "old-draining", "old-live", "old-silent",
    ]  # fmt: skip
    assert len([name for name in left(engine) if name.startswith("new")]) == 5


def test_not_while_a_task_is_with_it(engine: Engine) -> None:
    register(engine, "w", "gone", days=2)
    (task_id,) = put(engine, row(state=TaskState.RUNNING, worker_id="w"))
    assert left(engine) == ["w"]
    engine.write(
        lambda tx: tx.execute(
            sa.text("UPDATE earmark_tasks SET state = 'done' WHERE id = :id"),
            {"id": task_id},
        )
    )
    assert left(engine) == []


def test_not_while_a_send_of_it_can_land(engine: Engine) -> None:
    """Its row says where the sender was: without it nobody could prove it gone."""
    assert "over_at" in sends.c
    said = str(workers.prunable(engine.read(lambda tx: tx.now)))
    assert "earmark_sends.over_at IS NULL" in said


def test_what_changes_nothing_wakes_nobody(engine: Engine) -> None:
    """A worker that is silent for days is found so every second, by every other."""
    register(engine, "w", "silent", days=0)

    def note(tx: Transaction) -> set[Topic]:
        workers.set_state(tx, "w", "silent", of=("live", "draining"))
        return tx.topics

    assert engine.write(note) == set()
