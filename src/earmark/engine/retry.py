"""Retry: a person asks for an ended task again. It is a new task, linked both ways."""

from earmark.domain.errors import Rejected
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.enqueue import asked_before, asked_for, enqueue, transact
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.store import journal, tasks
from earmark.store.database import Transaction


def refusal(tx: Transaction, task: Task) -> str:
    """Why it cannot be retried, in words; empty when it can."""
    if not task.is_root:
        return "It is a part of another task; retry that one."
    if not task.done:
        return "It has not ended yet."
    if task.went_well:
        return "It ended well; ask for it anew instead."
    if describe.names_secrets(task.params):
        return "Its secrets were deleted when it ended; ask for it anew."
    later = tasks.open_retry_of(tx, task.id)
    return f"It is being retried already, by task {later}." if later else ""


def retry(
    engine: Engine,
    task_id: str,
    who: str,
    *,
    key: str | None = None,
    join: bool = False,
) -> Task:
    """Queue the same command again; returns the new task. The same `key` again returns
    that one. `join`: while a retry is under way, that is the one, for this key too.

    Raises `UnknownName`, `Rejected` with the `refusal`, `KeyReused` for a key that made
    another task, and what enqueuing raises.
    """

    def work(tx: EngineTx) -> Task:
        task = tasks.lock(tx.store, [tasks.get(tx.store, task_id).id])[task_id]
        earlier = asked_before(tx.store, who, key) if key is not None else None
        if earlier is not None and earlier.retry_of == task.id:
            return earlier
        later = tasks.open_retry_of(tx.store, task.id) if join else None
        if later is not None:
            under_way = tasks.get(tx.store, later)
            if key is None:
                return under_way
            command = describe.load(engine, under_way)
            return asked_for(tx, command, under_way, owner=who, key=key)
        why_not = refusal(tx.store, task)
        if why_not:
            raise Rejected(why_not, code="not-retried")
        command = describe.load(engine, task)
        again = enqueue(tx, command, owner=who, key=key, retry_of=task.id)
        journal.log(tx.store, again.id, f"A retry of task {task.id}.")
        journal.log(tx.store, task.id, f"Retried by {who} as task {again.id}.")
        return tasks.get(tx.store, again.id)

    return transact(engine, work)
