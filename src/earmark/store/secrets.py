"""Sealed secrets: rows that hold nothing but ciphertext and their owner."""

from collections.abc import Sequence

import sqlalchemy as sa

from earmark.domain.errors import UnknownName
from earmark.store.database import Transaction
from earmark.store.schema import secrets


def insert(tx: Transaction, secret_id: str, sealed: bytes, task_id: str | None) -> None:
    """Store a sealed secret; it goes with the task, or stays for a provider."""
    tx.execute(
        sa.insert(secrets).values(
            id=secret_id, sealed=sealed, task_id=task_id, created_at=tx.now
        )
    )


def sealed(tx: Transaction, secret_id: str) -> bytes:
    """The sealed bytes; raises `UnknownName` once the owner is gone."""
    found = tx.execute(
        sa.select(secrets.c.sealed).where(secrets.c.id == secret_id)
    ).scalar_one_or_none()
    if found is None:
        raise UnknownName(
            "The secret is gone: it was deleted with the task that brought it.",
            hint="Give the secret again.",
        )
    return bytes(found)


def delete(tx: Transaction, ids: list[str]) -> None:
    """Delete secrets by id."""
    tx.execute(sa.delete(secrets).where(secrets.c.id.in_(ids)))


def delete_of_task(tx: Transaction, task_id: str) -> None:
    """Delete what came with a task that has ended."""
    delete_of_tasks(tx, [task_id])


def delete_of_tasks(tx: Transaction, task_ids: Sequence[str]) -> None:
    """Delete what came with tasks that have ended."""
    tx.execute(sa.delete(secrets).where(secrets.c.task_id.in_(task_ids)))
