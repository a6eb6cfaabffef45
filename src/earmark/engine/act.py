"""Act: run an action. It reads, or makes one call that may run twice, so a lost worker
only means that it is run again."""

from datetime import timedelta
from typing import Any

from earmark.domain.command import Action
from earmark.domain.deadline import Deadline
from earmark.domain.errors import Stale
from earmark.domain.task import Task
from earmark.engine.boundary import boundary
from earmark.engine.ctx import EngineCtx
from earmark.engine.runtime import Engine
from earmark.engine.send import GRACE_SECONDS
from earmark.engine.settle import settle_action, settle_failed
from earmark.store import tasks
from earmark.store.database import Transaction


def act(engine: Engine, task: Task, command: Action[Any]) -> None:
    """Run a claimed action to its end. Raises `Stale` when it was taken over."""
    seconds = command.deadlines.call

    def work(tx: Transaction) -> Task:
        deadline = tx.now + timedelta(seconds=seconds + GRACE_SECONDS)
        return tasks.change(tx, task, deadline_at=deadline)

    task = engine.write(work)
    ctx = EngineCtx(engine, task, Deadline(seconds))
    try:
        result = command.run(ctx)
        boundary("act.answered")
        settle_action(engine, task, command, result)
    except Stale:
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        settle_failed(engine, task, error)
