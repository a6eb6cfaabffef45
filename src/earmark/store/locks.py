"""Locks of objects: rows, owned by a root, gone in the transaction that ends it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from earmark.domain.lock import Lock, LockMode
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import lock_queue, locks, tasks


def take(tx: Transaction, root_id: str, wanted: Sequence[Lock]) -> sa.Row[Any] | None:
    """Take all, or none: then the holder's row (kind, name, task id and title).

    Reentrant for the root. Takers of one name go one after the other until commit.
    """
    strongest: dict[tuple[str, str], Lock] = {}
    held = tx.execute(sa.select(locks).where(locks.c.root_id == root_id)).all()
    already = [Lock(row.kind, row.name, LockMode(row.mode)) for row in held]
    both = [*already, *wanted]  # what is held already is never weakened
    for lock in sorted(both, key=lambda one: one.mode is LockMode.EXCLUSIVE):
        strongest[lock.kind, lock.name] = lock
    dialect.lock_names(tx.connection, (f"{k}:{n}" for k, n in strongest))
    for lock in strongest.values():
        holder = _conflict(tx, root_id, lock)
        if holder is not None:
            return holder
    for lock in strongest.values():
        tx.execute(
            sa.delete(locks).where(
                locks.c.kind == lock.kind,
                locks.c.name == lock.name,
                locks.c.root_id == root_id,
            )
        )
        tx.execute(
            sa.insert(locks).values(
                kind=lock.kind,
                name=lock.name,
                root_id=root_id,
                mode=lock.mode,
                since=tx.now,
            )
        )
    return None


def _conflict(tx: Transaction, root_id: str, lock: Lock) -> sa.Row[Any] | None:
    query = (
        sa.select(locks.c.kind, locks.c.name, tasks.c.id, tasks.c.title)
        .join(tasks, tasks.c.id == locks.c.root_id)
        .where(
            locks.c.kind == lock.kind,
            locks.c.name == lock.name,
            locks.c.root_id != root_id,
        )
        .order_by(locks.c.since)
        .limit(1)
    )
    if lock.mode is LockMode.SHARED:
        query = query.where(locks.c.mode == LockMode.EXCLUSIVE)
    return tx.execute(query).one_or_none()


def release(tx: Transaction, root_id: str) -> None:
    """Let go of everything that the root holds."""
    tx.execute(sa.delete(locks).where(locks.c.root_id == root_id))


def waiting(tx: Transaction, kind: str, name: str) -> Sequence[sa.Row[Any]]:
    """Who queues for an object, the next one first: mode, since, task id and title."""
    return tx.execute(
        sa.select(lock_queue.c.mode, lock_queue.c.since, tasks.c.id, tasks.c.title)
        .join(tasks, tasks.c.id == lock_queue.c.root_id)
        .where(lock_queue.c.kind == kind, lock_queue.c.name == name)
        .order_by(lock_queue.c.root_id)
    ).all()


def on(tx: Transaction, kind: str, name: str) -> Sequence[sa.Row[Any]]:
    """Who holds an object: mode, since, task id and title."""
    return tx.execute(
        sa.select(locks.c.mode, locks.c.since, tasks.c.id, tasks.c.title)
        .join(tasks, tasks.c.id == locks.c.root_id)
        .where(locks.c.kind == kind, locks.c.name == name)
        .order_by(locks.c.since)
    ).all()
