"""What is done by the clock is done once, by the worker that leads."""

from datetime import timedelta

import sqlalchemy as sa

from earmark.commands import RefreshProvider
from earmark.domain.inventory import Provider
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.store import inventory, orphans
from earmark.store.schema import sweeps
from earmark.store.schema import workers as worker_table
from earmark.worker.scheduler import Scheduler
from tests.engine.world import Stage
from tests.store.test_workers import register


def due(stage: Stage) -> None:
    """The listing of the provider is due."""
    stage.engine.write(
        lambda tx: inventory.change_provider(
            tx, "p-1", refresh_due_at=tx.now - timedelta(seconds=1)
        )
    )


def refreshes(stage: Stage) -> list[Task]:
    return [t for t in stage.tasks() if t.command == "RefreshProvider"]


def test_a_refresh_that_is_due_is_queued_once(stage: Stage) -> None:
    due(stage)
    for _ in range(2):
        Scheduler(stage.engine, "w-1", 60).round()
    assert len(refreshes(stage)) == 1


def test_none_while_another_is_unfinished(stage: Stage) -> None:
    scheduler = Scheduler(stage.engine, "w-1", 60)
    asked = transact(stage.engine, RefreshProvider(provider="p-1").enqueue)
    due(stage)
    scheduler.round()
    assert [t.id for t in refreshes(stage)] == [asked.id]
    stage.work()
    assert stage.task(asked).done
    due(stage)
    scheduler.round()
    assert len(refreshes(stage)) == 2


def test_only_the_leader_does_it(stage: Stage) -> None:
    Scheduler(stage.engine, "w-1", 60).round()
    due(stage)
    Scheduler(stage.engine, "w-2", 60).round()
    assert refreshes(stage) == []


def test_workers_that_ended_are_forgotten(engine: Engine) -> None:
    register(engine, "old", "gone", days=2)
    register(engine, "new", "gone", days=0)
    Scheduler(engine, "w-1", 60).round()
    query = sa.select(worker_table.c.id)
    assert engine.read(lambda tx: tx.execute(query).scalars().all()) == ["new"]


def test_a_sweep_is_queued_when_it_is_due_and_once(stage: Stage) -> None:
    scheduler = Scheduler(stage.engine, "w-1", 60, 60)
    scheduler.round()
    asked = [t for t in stage.tasks() if t.command == "SweepProvider"]
    assert asked == [], "a provider that is new is swept after the first interval"
    stage.engine.write(
        lambda tx: tx.execute(
            sa.update(sweeps).values(due_at=tx.now - timedelta(seconds=1))
        )
    )
    for _ in range(2):
        scheduler.round()
    (task,) = (t for t in stage.tasks() if t.command == "SweepProvider")
    assert (task.object_id, task.priority) == ("p-1", 200)


def test_a_provider_where_nothing_is_made_is_not_swept_and_says_so(
    stage: Stage,
) -> None:
    aws = Provider("aws", "aws", "ec2", "default", {"region": "x"})
    stage.engine.write(lambda tx: inventory.add_provider(tx, aws))
    for _ in range(2):
        Scheduler(stage.engine, "w-1", 60, 0.001).round()
    swept = stage.engine.read(lambda tx: orphans.sweep_of(tx, "aws"))
    assert swept.state == "unsupported"
    assert "makes nothing" in swept.message
    due = [t.object_id for t in stage.tasks() if t.command == "SweepProvider"]
    assert set(due) <= {"p-1"}
