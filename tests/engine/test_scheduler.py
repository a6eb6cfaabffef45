"""What is done by the clock is done once, by the worker that leads."""

from datetime import timedelta

import sqlalchemy as sa

from earmark.commands import RefreshProvider
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.store import inventory
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
