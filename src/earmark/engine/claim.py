"""Claim: a worker takes queued tasks, each for a new attempt, in batches."""

from datetime import timedelta

from earmark.domain.states import Step
from earmark.domain.task import Task
from earmark.engine.boundary import boundary
from earmark.engine.runtime import Engine
from earmark.store import journal, queue, tasks
from earmark.store.database import Transaction

#: How long a claimed task may sit before its first step; then it counts as lost.
CLAIM_SECONDS = 60.0
#: What a worker claims a task for, in words.
STEPS = {Step.RUN: "", Step.FINISH: " to finish it", Step.UNDO: " to take it back"}
#: Added to a call's own deadline before anybody else calls it hung.
GRACE_SECONDS = 5.0


def allow(engine: Engine, task: Task, seconds: float) -> Task:
    """Give the call that comes now its own time, before it counts as hung (rule 6)."""

    def work(tx: Transaction) -> Task:
        deadline = tx.now + timedelta(seconds=seconds + GRACE_SECONDS)
        return tasks.change(tx, task, deadline_at=deadline)

    return engine.write(work)


def claim(
    engine: Engine, appetite: queue.Appetite, worker_id: str, limit: int
) -> list[Task]:
    """Take up to `limit` tasks by priority and age; each is this worker's now.

    An idle look takes no write lock. A task that another worker has is never taken,
    and one that this worker does not know stays for those that do (rule 19).
    """
    if limit <= 0 or not engine.read(lambda tx: queue.anything_for(tx, appetite)):
        return []

    def work(tx: Transaction) -> list[Task]:
        deadline = tx.now + timedelta(seconds=CLAIM_SECONDS)
        claimed = queue.claim(tx, appetite, worker_id, limit, deadline)
        for task in claimed:
            step = STEPS[task.step]
            again = f", recovered {task.recoveries} times" if task.recoveries else ""
            journal.log(tx, task.id, f"Claimed by worker {worker_id}{step}{again}.")
        return claimed

    claimed = engine.write(work)
    if claimed:
        boundary("claim.committed")
    return claimed
