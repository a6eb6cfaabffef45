"""Locks of objects: rows, owned by a root, gone in the transaction that ends it; and
the queue of roots that hold nothing and wait for theirs (rule 11)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, takewhile
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import Stale, UnknownName
from earmark.domain.lock import Lock, LockMode
from earmark.domain.task import Task
from earmark.store import dialect
from earmark.store import tasks as task_rows
from earmark.store.database import Transaction
from earmark.store.schema import lock_queue, locks, tasks

#: Names in one statement; both stores take many more.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of a lock: on which object, whose task, since when.
    `queued`: that task does not hold it, but came first."""

    kind: str
    name: str
    task_id: str
    title: str
    since: datetime
    queued: bool


def take(tx: Transaction, root_id: str, wanted: Sequence[Lock]) -> Obstacle | None:
    """Take all, or none: then what stands in the way.

    Reentrant for the root; what it holds already is never weakened. Takers of one
    object go one after the other until commit.
    """
    held = set(_of(tx, locks, root_id))
    # What it queued for is taken too: else whoever queues behind it would not be woken.
    wishes = _strongest([*held, *_of(tx, lock_queue, root_id), *wanted])
    new = [lock for lock in wishes.values() if lock not in held]
    obstacle = in_the_way(tx, root_id, new)
    if obstacle is not None:
        return obstacle
    _forget(tx, lock_queue, root_id)
    weaker = {(lock.kind, lock.name) for lock in held} & {(n.kind, n.name) for n in new}
    if weaker:
        names = sa.tuple_(locks.c.kind, locks.c.name)
        _forget(tx, locks, root_id, names.in_(sorted(weaker)))
    _write(tx, locks, root_id, new)
    return None


def in_the_way(
    tx: Transaction, root_id: str, wanted: Sequence[Lock]
) -> Obstacle | None:
    """The first that holds, or came earlier for, what the root wants. The objects stay
    this transaction's until its end, so the answer stays true."""
    name_them(tx, [(lock.kind, lock.name) for lock in wanted])
    return _conflict(tx, root_id, wanted)


def queue(tx: Transaction, root_id: str, wanted: Sequence[Lock]) -> list[Lock]:
    """Queue for these; a root that queues already keeps its place, which is its id.
    Returns all that it queues for now."""
    wishes = list(_strongest([*_of(tx, lock_queue, root_id), *wanted]).values())
    _forget(tx, lock_queue, root_id)
    _write(tx, lock_queue, root_id, wishes)
    return wishes


def release(tx: Transaction, root_id: str) -> list[str]:
    """Let go of everything that the root holds or queues for. Returns the roots that
    come next in those queues, in order: each may now get what it waits for."""
    freed = touched(tx, root_id)
    if not freed:
        return []
    name_them(tx, freed)
    _forget(tx, locks, root_id)
    _forget(tx, lock_queue, root_id)
    next_ones: set[str] = set()
    rows = _rows(tx, lock_queue, freed)
    for _, group in groupby(rows, key=lambda row: (row.kind, row.name)):
        in_line = list(group)
        together = takewhile(lambda row: row.mode == LockMode.SHARED, in_line)
        next_ones.update(row.root_id for row in (in_line[0], *together))
    return sorted(next_ones)


def touched(tx: Transaction, root_id: str) -> list[tuple[str, str]]:
    """Every object, by kind and name, that the root holds or queues for."""
    both = [
        sa.select(table.c.kind, table.c.name).where(table.c.root_id == root_id)
        for table in (locks, lock_queue)
    ]
    return [(row.kind, row.name) for row in tx.execute(sa.union(*both))]


def any_exclusive(tx: Transaction, root_id: str) -> bool:
    """True when the root holds an exclusive lock."""
    exclusive = [LockMode.EXCLUSIVE is lock.mode for lock in _of(tx, locks, root_id)]
    return any(exclusive)


def queued(tx: Transaction, root_id: str) -> list[tuple[str, str]]:
    """Every object, by kind and name, that the root queues for."""
    return [(lock.kind, lock.name) for lock in _of(tx, lock_queue, root_id)]


def lock_family(tx: Transaction, task: Task) -> Task:
    """As `tasks.lock_family`, for a task that may queue: what it queues for becomes
    this transaction's first. A release takes an object first too, and then the rows of
    those who wait for it, so the two cannot wait for each other (rule 10).

    Raises `Stale` when the task was deleted: a worker that comes so late is told the
    same as one whose task others have gone on with.
    """
    if not task.is_root:
        try:
            return task_rows.lock_family(tx, task.id)
        except UnknownName as gone:
            raise Stale(str(gone)) from gone
    name_them(tx, queued(tx, task.id))
    locked = task_rows.lock(tx, [task.id])
    if not locked:
        raise Stale(f"Task {task.id} was deleted.")
    return locked[task.id]


def name_them(tx: Transaction, names: Iterable[tuple[str, str]]) -> None:
    """Make these objects' locks and queues this transaction's until its end."""
    dialect.lock_names(tx.connection, (f"{kind}:{name}" for kind, name in names))


def on(tx: Transaction, kind: str, name: str) -> Sequence[sa.Row[Any]]:
    """Who holds an object: mode, since, task id and title."""
    return _about(tx, locks, kind, name, locks.c.since)


def waiting(tx: Transaction, kind: str, name: str) -> Sequence[sa.Row[Any]]:
    """Who queues for an object, the next one first: mode, since, task id and title."""
    return _about(tx, lock_queue, kind, name, lock_queue.c.root_id)


def obstacles(
    tx: Transaction, root_ids: Sequence[str]
) -> Mapping[str, tuple[datetime, Obstacle | None]]:
    """Of these roots, those that queue: since when, and one that is in their way (None:
    nobody is any more, it goes on in a moment). For faces; nothing is locked by it."""
    found: dict[str, tuple[datetime, Obstacle | None]] = {}
    query = sa.select(lock_queue).where(lock_queue.c.root_id.in_(root_ids))
    wanted: dict[str, list[Lock]] = {}
    for row in tx.execute(query.order_by(lock_queue.c.kind, lock_queue.c.name)):
        lock = Lock(row.kind, row.name, LockMode(row.mode))
        wanted.setdefault(row.root_id, []).append(lock)
        found[row.root_id] = (row.since, None)
    for root_id, theirs in wanted.items():
        found[root_id] = (found[root_id][0], _conflict(tx, root_id, theirs))
    return found


def _conflict(tx: Transaction, root_id: str, wanted: Sequence[Lock]) -> Obstacle | None:
    modes = {(lock.kind, lock.name): lock.mode for lock in wanted}
    others = (
        (locks, locks.c.root_id != root_id),
        (lock_queue, lock_queue.c.root_id < root_id),
    )
    for table, other in others:
        for row in _rows(tx, table, list(modes), other):
            if LockMode.EXCLUSIVE in (modes[row.kind, row.name], row.mode):
                queued = table is lock_queue
                return Obstacle(
                    row.kind, row.name, row.root_id, row.title, row.since, queued
                )
    return None


def _strongest(wanted: Iterable[Lock]) -> dict[tuple[str, str], Lock]:
    """One lock per object: the exclusive one, if any is."""
    by_mode = sorted(wanted, key=lambda one: one.mode is LockMode.EXCLUSIVE)
    return {(lock.kind, lock.name): lock for lock in by_mode}


def _rows(
    tx: Transaction,
    table: sa.Table,
    names: Sequence[tuple[str, str]],
    *conditions: sa.ColumnElement[bool],
) -> list[sa.Row[Any]]:
    """Rows of these objects with their tasks' titles; per object, oldest root first."""
    found: list[sa.Row[Any]] = []
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        query = (
            sa.select(table, tasks.c.title)
            .join(tasks, tasks.c.id == table.c.root_id)
            .where(sa.tuple_(table.c.kind, table.c.name).in_(some), *conditions)
            .order_by(table.c.kind, table.c.name, table.c.root_id)
        )
        found.extend(tx.execute(query))
    return found


def _about(
    tx: Transaction, table: sa.Table, kind: str, name: str, order: Any
) -> Sequence[sa.Row[Any]]:
    return tx.execute(
        sa.select(table.c.mode, table.c.since, tasks.c.id, tasks.c.title)
        .join(tasks, tasks.c.id == table.c.root_id)
        .where(table.c.kind == kind, table.c.name == name)
        .order_by(order)
    ).all()


def _write(
    tx: Transaction, table: sa.Table, root_id: str, wanted: Iterable[Lock]
) -> None:
    rows = [
        {
            "kind": lock.kind,
            "name": lock.name,
            "root_id": root_id,
            "mode": lock.mode,
            "since": tx.now,
        }
        for lock in sorted(wanted)
    ]
    if rows:
        tx.execute(sa.insert(table), rows)


def _of(tx: Transaction, table: sa.Table, root_id: str) -> list[Lock]:
    rows = tx.execute(sa.select(table).where(table.c.root_id == root_id))
    return [Lock(row.kind, row.name, LockMode(row.mode)) for row in rows]


def _forget(
    tx: Transaction,
    table: sa.Table,
    root_id: str,
    *conditions: sa.ColumnElement[bool],
) -> None:
    tx.execute(sa.delete(table).where(table.c.root_id == root_id, *conditions))
