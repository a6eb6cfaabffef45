"""Images by way of the disks that are on them, of VMs that exist as far as we know."""

import sqlalchemy as sa

from earmark.domain.inventory import ObservedDisk
from earmark.store.database import Transaction
from earmark.store.schema import disks, vms


def user_of(tx: Transaction, provider_id: str, image: str) -> str | None:
    """The id of the VM that has a disk on an image; None when none has."""
    query = (
        sa.select(vms.c.id)
        .join(disks, disks.c.vm_id == vms.c.id)
        .where(
            vms.c.provider_id == provider_id,
            vms.c.gone_at.is_(None),
            disks.c.image == image,
        )
        .order_by(vms.c.id)
    )
    found: str | None = tx.execute(query.limit(1)).scalar_one_or_none()
    return found


def drop_disk(tx: Transaction, vm_id: str, image: str) -> None:
    """Take the disk that is on an image off its VM."""
    tx.execute(sa.delete(disks).where(disks.c.vm_id == vm_id, disks.c.image == image))


def put_disk(tx: Transaction, vm_id: str, disk: ObservedDisk) -> None:
    """Write a disk of a VM as it was seen; nothing when the VM has it no more."""
    tx.execute(
        sa.update(disks)
        .where(disks.c.vm_id == vm_id, disks.c.external_id == disk.external_id)
        .values(
            alias=disk.alias,
            image=disk.image,
            size_bytes=disk.size_bytes,
            domain=disk.domain,
        )
    )
