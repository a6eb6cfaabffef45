"""Snapshots of VMs: plain reads and writes of their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.domain.inventory import Snapshot
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.inventory import lock_rows, touch_rows
from earmark.store.schema import snapshots
from earmark.store.wakeups import Topic


def of_vm(tx: Transaction, vm_id: str) -> list[Snapshot]:
    """The snapshots of a VM that exist as far as we know, oldest first."""
    query = sa.select(snapshots).where(
        snapshots.c.vm_id == vm_id, snapshots.c.gone_at.is_(None)
    )
    query = query.order_by(snapshots.c.created_at, snapshots.c.id)
    return [
        Snapshot(
            id=row.id,
            provider_id=row.provider_id,
            vm_id=row.vm_id,
            external_id=row.external_id,
            name=row.name,
            created_at=row.created_at,
        )
        for row in tx.execute(query)
    ]


def lock(
    tx: Transaction, provider_id: str, external_ids: Sequence[str] | None = None
) -> dict[str, sa.Row[Any]]:
    """External id → row of these or all snapshots of a provider, the gone ones too;
    nobody else writes them until we commit."""
    return lock_rows(tx, snapshots, provider_id, external_ids)


def insert(tx: Transaction, values: dict[str, Any]) -> str | None:
    """Insert a snapshot; returns its id, or None when somebody has just done so."""
    tx.wake(Topic.CHANGES)
    unknown = {"command_at": None, "gone_at": None}
    row = unknown | values | {"id": new_id(), "created_at": tx.now}
    return row["id"] if dialect.insert_new(tx.connection, snapshots, row) else None


def change(tx: Transaction, snapshot_id: str, values: dict[str, Any]) -> None:
    """Change a locked snapshot, which exists."""
    tx.execute(
        sa.update(snapshots)
        .where(snapshots.c.id == snapshot_id)
        .values({"gone_at": None} | values)
    )
    tx.wake(Topic.CHANGES)


def touch(tx: Transaction, ids: Sequence[str], observed_at: datetime) -> None:
    """Seen again, and nothing about them has changed."""
    touch_rows(tx, snapshots, ids, observed_at)


def gone(tx: Transaction, snapshot_id: str, since: datetime) -> None:
    """A whole listing lacks it, which is an observation too."""
    tx.execute(
        sa.update(snapshots)
        .where(snapshots.c.id == snapshot_id)
        .values(gone_at=since, observed_at=since)
    )
    tx.wake(Topic.CHANGES)


def gone_with_vm(tx: Transaction, vm_id: str) -> None:
    """A command of ours has removed their VM, and them with it."""
    tx.execute(
        sa.update(snapshots)
        .where(snapshots.c.vm_id == vm_id, snapshots.c.gone_at.is_(None))
        .values(gone_at=tx.now, observed_at=tx.now, command_at=tx.now)
    )
    tx.wake(Topic.CHANGES)
