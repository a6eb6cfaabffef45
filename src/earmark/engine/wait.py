"""Wait: somebody waits for tasks to end. A waiter reads; it never writes the task
(invariant 7), so any number may wait, come late, or go away."""

import time
from collections.abc import Iterator

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store import tasks
from earmark.store.wakeups import Topic

#: Even if every wake-up is lost, a waiter looks this often.
SAFETY_SECONDS = 1.0


def follow(
    engine: Engine, task_id: str, timeout: float | None = None
) -> Iterator[Task]:
    """The task now, and again whenever it changed, until it is done or time is over.

    Raises `UnknownName` when there is no such task.
    """
    end = None if timeout is None else time.monotonic() + timeout
    with engine.database.wakeups.subscribe(Topic.CHANGES) as signal:
        seen: int | None = None
        while True:
            task = engine.read(lambda tx: tasks.get(tx, task_id))
            if task.version != seen:
                seen = task.version
                yield task
            left = SAFETY_SECONDS
            if end is not None:
                left = min(left, end - time.monotonic())
            if task.done or left <= 0:
                return
            signal.wait(left)


def wait(engine: Engine, task_id: str, timeout: float | None = None) -> Task:
    """The task once it is done, or as it is when `timeout` seconds are over; a task
    that is held is returned too, since only a person can end it."""
    task = None
    for task in follow(engine, task_id, timeout):
        if task.state == "held":
            break
    assert task is not None
    return task
