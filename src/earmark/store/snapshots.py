"""Snapshots of VMs: plain reads and writes of their rows."""

import sqlalchemy as sa

from earmark.domain.inventory import Snapshot
from earmark.store.database import Transaction
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


def gone_with_vm(tx: Transaction, vm_id: str) -> None:
    """A command of ours has removed their VM, and them with it."""
    tx.execute(
        sa.update(snapshots)
        .where(snapshots.c.vm_id == vm_id, snapshots.c.gone_at.is_(None))
        .values(gone_at=tx.now, observed_at=tx.now, command_at=tx.now)
    )
    tx.wake(Topic.CHANGES)
