"""The store is put back from an older copy while a task is about to be sent: nothing
leaves before somebody has noticed, and then it is looked for first (rule 15)."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.engine import recover, send
from earmark.engine.perform import perform
from earmark.store import epoch, tasks
from earmark.store.database import Transaction
from earmark.store.schema import installation
from earmark.worker.heartbeat import Heartbeat
from tests.engine.world import MakeTagged, Stage
from tests.store.test_workers import register

Happens = Callable[[Stage], None]


def put_back(stage: Stage) -> None:
    """Simulated by what tells a copy: on SQLite the file beside it has counted further,
    on PostgreSQL the server is another. Nobody has noticed yet."""
    file = stage.engine.database.file
    if file is None:
        another = sa.update(installation).values(epoch="another-server/epoch")
        stage.engine.write(lambda tx: tx.execute(another))
        return
    memory = epoch.Memory.read(epoch.memory_file(file))
    assert memory is not None
    epoch.Memory(memory.epoch, memory.heard + 100).write(epoch.memory_file(file))


def noticed(stage: Stage) -> None:
    """A worker has noticed, and marked the task after it was claimed."""
    file = stage.engine.database.file
    stage.engine.write(lambda tx: epoch.begin(tx, file, "simulated"))


@pytest.mark.parametrize("happens", [put_back, noticed])
def test_nothing_leaves(
    stage: Stage, happens: Happens, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.ask(MakeTagged(provider="p-1", what="pot"))
    (claimed,) = stage.claim()
    with monkeypatch.context() as at_the_last_moment:
        intend = send.intend

        def after_it(*args: Any) -> Any:
            happens(stage)
            return intend(*args)

        at_the_last_moment.setattr(send, "intend", after_it)
        perform(stage.engine, claimed)
    assert stage.world.sent == []
    assert goes_on(stage, task).outcome == "ok"
    assert stage.world.sent == ["pot"]


def goes_on(stage: Stage, task: Task) -> Task:
    """The next beat notices, the deadline brings the task back; it is worked on."""
    register(stage.engine, "w-2", "live", days=0)
    Heartbeat(stage.engine, "w-2", 60, on_lost=lambda: None).round()
    assert stage.task(task).restored

    def overdue(tx: Transaction) -> None:
        tasks.change(tx, stage.task(task), deadline_at=tx.now)

    stage.engine.write(overdue)
    assert recover.overdue(stage.engine) == 1
    for _ in range(2):
        stage.work()
        if stage.task(task).done:
            break
        # What may have been sent before can land for so long, and no longer.
        stage.engine.write(
            lambda tx: tx.execute(sa.text("UPDATE earmark_sends SET over_at = sent_at"))
        )
    return stage.task(task)
