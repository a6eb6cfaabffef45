"""What is written beside the state: log lines of tasks, and who did what."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import audit, task_log, tasks
from earmark.store.wakeups import Topic
from earmark.store.words import words_of

#: Built once: every step of every task writes a line.
_COUNTED = (
    sa.update(tasks)
    .where(tasks.c.id == sa.bindparam("task"))
    .values(log_lines=tasks.c.log_lines + 1)
    .returning(tasks.c.log_lines)
)
_LINE = sa.insert(task_log)


def log(tx: Transaction, task_id: str, text: str, level: str = "info") -> None:
    """Append a line to a task's log; numbers have no gaps."""
    number: int = tx.execute(_COUNTED, {"task": task_id}).scalar_one()
    row = {"task_id": task_id, "number": number, "at": tx.now}
    tx.execute(_LINE, {**row, "level": level, "text": text})
    tx.wake(Topic.CHANGES)


def says(tx: Transaction, task_id: str, text: str) -> bool:
    """True when a line of a task's log is this."""
    same = sa.exists().where(task_log.c.task_id == task_id, task_log.c.text == text)
    return bool(tx.execute(sa.select(same)).scalar_one())


def log_many(
    tx: Transaction, numbers: Mapping[str, int], text: str, level: str
) -> None:
    """Write the same line to many logs, whose numbers the caller has counted up."""
    rows = [
        {"task_id": one, "number": number, "at": tx.now, "level": level, "text": text}
        for one, number in numbers.items()
    ]
    if rows:
        tx.execute(sa.insert(task_log), rows)


def lines(
    tx: Transaction,
    task_id: str,
    *,
    after: int = 0,
    containing: str = "",
    limit: int = 1000,
) -> Sequence[sa.Row[Any]]:
    """Log lines with a number above `after`, in order; only those with the words of
    `containing`, in any case, if given. Raises `BadInput` for too many words."""
    query = sa.select(task_log).where(
        task_log.c.task_id == task_id, task_log.c.number > after
    )
    for word in words_of(containing):
        query = query.where(task_log.c.text.icontains(word, autoescape=True))
    return tx.execute(query.order_by(task_log.c.number).limit(limit)).all()


def first_error(tx: Transaction, task_id: str) -> int | None:
    """Number of the first line of a task's log that tells of an error."""
    query = sa.select(sa.func.min(task_log.c.number)).where(
        task_log.c.task_id == task_id, task_log.c.level == "error"
    )
    return tx.execute(query).scalar_one_or_none()


def note(
    tx: Transaction, actor: str, action: str, task_id: str | None, **data: Any
) -> None:
    """Write an audit row, in the transaction that did it."""
    note_many(tx, actor, action, [task_id], **data)


def note_many(
    tx: Transaction,
    actor: str,
    action: str,
    task_ids: Sequence[str | None],
    **data: Any,
) -> None:
    """Write an audit row for each of these tasks."""
    rows = [
        {
            "id": new_id(),
            "at": tx.now,
            "actor": actor,
            "action": action,
            "task_id": task_id,
            "data": data,
        }
        for task_id in task_ids
    ]
    tx.execute(sa.insert(audit), rows)


def done_since(
    tx: Transaction, actor: str, action: str, task_ids: Sequence[str], since: str
) -> set[str]:
    """Those of these tasks to which the actor did it later than `since`, an id."""
    query = sa.select(audit.c.task_id).where(
        audit.c.task_id.in_(task_ids),
        audit.c.actor == actor,
        audit.c.action == action,
        audit.c.id > since,
    )
    return {row.task_id for row in tx.execute(query)}


def note_deed(
    tx: Transaction, deed_id: str, actor: str, action: str, data: Mapping[str, Any]
) -> None:
    """Write the audit row of something done to many tasks, by an id that the caller
    knows; nothing if it is there already."""
    row = {"id": deed_id, "at": tx.now, "actor": actor, "action": action}
    dialect.insert_new(tx.connection, audit, row | {"task_id": None, "data": data})


def deed(tx: Transaction, deed_id: str) -> sa.Row[Any] | None:
    """What was written of it, if it was done."""
    query = sa.select(audit).where(audit.c.id == deed_id)
    return tx.execute(query).one_or_none()
