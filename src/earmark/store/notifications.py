"""Notifications: somebody goes on with other things, and is told when a task ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import UnknownName
from earmark.domain.ids import new_id
from earmark.domain.states import Outcome
from earmark.store import dialect
from earmark.store import tasks as task_rows
from earmark.store.database import Transaction
from earmark.store.schema import notifications, tasks
from earmark.store.wakeups import Topic

#: How many are listed; the older ones come up as these are dismissed.
LISTED = 100
#: Outcomes that stay until they are dismissed, read or not. A cancel was asked for.
BAD = (Outcome.FAILED, Outcome.EXPIRED, Outcome.INTERRUPTED)
#: Literals, so that both planners can use the partial index.
_SHOWN = sa.text("ended_at IS NOT NULL AND dismissed_at IS NULL")


@dataclass(frozen=True, slots=True)
class Notification:
    """The end of a task, as its owner is told of it."""

    id: str
    task_id: str
    next: str
    ended_at: datetime
    read_at: datetime | None
    title: str
    outcome: Outcome
    message: str

    @property
    def bad(self) -> bool:
        """True for what stays until it is dismissed."""
        return self.outcome in BAD


def subscribe(tx: Transaction, task_id: str, owner: str, next: str) -> None:
    """Tell the owner when the task ends; at once, if it has. Asked again, it changes
    nothing. Raises `UnknownName` when there is no such task."""
    # Locked, so that an end that is just being written is not missed.
    found = task_rows.lock(tx, [task_id]).get(task_id)
    if found is None:
        found = task_rows.get(tx, task_id)
    values = {
        "id": new_id(),
        "owner": owner,
        "task_id": task_id,
        "next": next,
        "created_at": tx.now,
        "ended_at": found.finished_at,
    }
    dialect.insert_new(tx.connection, notifications, values)
    tx.wake(Topic.CHANGES)


def ended(tx: Transaction, ids: Sequence[str]) -> None:
    """These tasks have ended, in this transaction: from its commit on, it is told."""
    tx.execute(
        sa.update(notifications)
        .where(notifications.c.task_id.in_(ids), notifications.c.ended_at.is_(None))
        .values(ended_at=tx.now)
    )


def count(tx: Transaction, owner: str) -> int:
    """How many there are for the owner; `LISTED` + 1 stands for any more than that."""
    some = sa.select(notifications.c.id).where(*_shown(owner)).limit(LISTED + 1)
    query = sa.select(sa.func.count()).select_from(some.subquery())
    return int(tx.execute(query).scalar_one())


def listed(tx: Transaction, owner: str, limit: int = LISTED) -> list[Notification]:
    """What is not read, and failures that are not dismissed, the newest end first."""
    query = (
        sa.select(
            notifications.c.id,
            notifications.c.task_id,
            notifications.c.next,
            notifications.c.ended_at,
            notifications.c.read_at,
            tasks.c.title,
            tasks.c.outcome,
            tasks.c.message,
        )
        .select_from(notifications.join(tasks))
        .where(*_shown(owner))
        .order_by(notifications.c.ended_at.desc(), notifications.c.id.desc())
        .limit(limit)
    )
    return [_from_row(row) for row in tx.execute(query)]


def read(tx: Transaction, one: str, owner: str) -> tuple[str, str]:
    """The owner has read it, and with that is done with it unless it is bad; returns
    the task and the continuation that it leads to. Raises `UnknownName`, for anybody
    else's too."""
    leads = _mark(tx, one, owner, "read_at")
    _let_go(tx, owner)
    return leads


def read_all(tx: Transaction, owner: str, newest: str) -> None:
    """The owner has read them all, down from the one that was the newest then: what has
    come since is still to be told. Nothing, when that one is not there any more."""
    upto = sa.select(notifications.c.ended_at).where(notifications.c.id == newest)
    tx.execute(
        sa.update(notifications)
        .where(
            *_shown(owner),
            notifications.c.read_at.is_(None),
            notifications.c.ended_at <= upto.scalar_subquery(),
        )
        .values(read_at=tx.now)
    )
    _let_go(tx, owner)
    tx.wake(Topic.CHANGES)


def _let_go(tx: Transaction, owner: str) -> None:
    """Show good ends no more once they are read."""
    bad = sa.select(tasks.c.id).where(
        tasks.c.id == notifications.c.task_id, tasks.c.outcome.in_(BAD)
    )
    tx.execute(
        sa.update(notifications)
        .where(*_shown(owner), notifications.c.read_at.is_not(None), ~bad.exists())
        .values(dismissed_at=tx.now)
    )


def bad_ones(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Which of these tasks ended badly, and nobody has dismissed that yet."""
    query = (
        sa.select(tasks.c.id)
        .join(notifications)
        .where(tasks.c.id.in_(ids), tasks.c.outcome.in_(BAD), _SHOWN)
    )
    return set(tx.execute(query).scalars())


def dismiss(tx: Transaction, one: str, owner: str) -> None:
    """The owner wants to see it no more. Raises `UnknownName`, for anybody else's
    too."""
    _mark(tx, one, owner, "dismissed_at")


def dismiss_read(tx: Transaction, owner: str) -> None:
    """The owner wants to see no failure any more that was read."""
    tx.execute(
        sa.update(notifications)
        .where(*_shown(owner), notifications.c.read_at.is_not(None))
        .values(dismissed_at=tx.now)
    )
    tx.wake(Topic.CHANGES)


def _shown(owner: str) -> tuple[sa.ColumnElement[bool], sa.TextClause]:
    return notifications.c.owner == owner, _SHOWN


def _from_row(row: sa.Row[Any]) -> Notification:
    values = dict(row._mapping)
    return Notification(**values | {"outcome": Outcome(values["outcome"])})


def _mark(tx: Transaction, one: str, owner: str, column: str) -> tuple[str, str]:
    """Note the first time that it was read, or dismissed."""
    changed = tx.execute(
        sa.update(notifications)
        .where(
            notifications.c.id == one,
            notifications.c.owner == owner,
            notifications.c.ended_at.is_not(None),
        )
        .values({column: sa.func.coalesce(notifications.c[column], tx.now)})
        .returning(notifications.c.task_id, notifications.c.next)
    ).one_or_none()
    if changed is None:
        raise UnknownName(
            f"There is no notification {one[:64]!r}.",
            hint="It may be gone with its task. See /notifications.",
        )
    tx.wake(Topic.CHANGES)
    return changed.task_id, changed.next
