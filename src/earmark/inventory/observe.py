"""Writing what was seen. An observation carries the time its fetch began: an older one
never wins, nor does a listing within the provider's lag after a command of ours."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.inventory import (
    Disk,
    Listing,
    ObservedDisk,
    ObservedVm,
)
from earmark.inventory import listed
from earmark.inventory.recency import newer
from earmark.store import inventory as rows
from earmark.store.database import Transaction
from earmark.store.schema import snapshots, templates, tenants


@dataclass(slots=True)
class Changes:
    """What applying a listing changed, in numbers."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        parts = [
            f"{count} {word}"
            for count, word in (
                (self.new, "new"),
                (self.changed, "changed"),
                (self.gone, "gone"),
                (self.skipped, "seen more recently"),
            )
            if count
        ]
        return ", ".join(parts) or "nothing new"


def observe_vm(
    tx: Transaction, provider_id: str, seen: ObservedVm, began: datetime
) -> bool:
    """Write what a command of ours saw of one VM; False when newer news stands."""
    row = rows.lock_vms(tx, provider_id, [seen.external_id]).get(seen.external_id)
    row = row or _add(tx, provider_id, seen, began, command_at=tx.now)
    if row is None:
        return True
    if row.observed_at >= began:
        return False
    stored = rows.disks_of(tx, row.id)
    _change(tx, row, stored, seen, {"observed_at": began, "command_at": tx.now})
    return True


def apply_listing(
    tx: Transaction,
    provider_id: str,
    listing: Listing,
    began: datetime,
    lag: timedelta = timedelta(0),
) -> Changes:
    """Make the inventory of a provider what a whole listing showed.

    `lag` is how long the provider's lists may lack, or show old, what was changed.
    """
    changes = Changes()
    known = rows.lock_vms(tx, provider_id)
    disks = rows.all_disks(tx, provider_id)
    same = []
    for vm in listing.vms:
        row = known.pop(vm.external_id, None) or _add(tx, provider_id, vm, began)
        if row is None:
            changes.new += 1
        elif newer(row, began, lag):
            changes.skipped += 1
        elif _same(row, disks.get(row.id, []), vm):
            same.append(row.id)
        else:
            changes.changed += 1
            _change(tx, row, disks.get(row.id, []), vm, {"observed_at": began})
    rows.touch_vms(tx, same, began)
    for row in known.values():
        if row.gone_at is None and not newer(row, began, lag):
            changes.gone += 1
            rows.vm_gone(tx, row.id, began)
    _apply_others(tx, provider_id, listing, began, lag)
    return changes


def _add(
    tx: Transaction,
    provider_id: str,
    seen: ObservedVm,
    began: datetime,
    command_at: datetime | None = None,
) -> sa.Row[Any] | None:
    """Write a VM that we did not know, and return None; or the row of somebody who was
    quicker, which is to be judged."""
    values = {
        "provider_id": provider_id,
        "external_id": seen.external_id,
        "name": seen.name,
        "power_state": seen.power_state,
        "observed_at": began,
        "command_at": command_at,
    }
    vm_id = rows.insert_vm(tx, values)
    if vm_id is None:
        return rows.lock_vms(tx, provider_id, [seen.external_id])[seen.external_id]
    rows.replace_disks(tx, vm_id, seen.disks or ())
    return None


def _change(
    tx: Transaction,
    row: sa.Row[Any],
    stored: Sequence[Disk],
    seen: ObservedVm,
    times: dict[str, datetime],
) -> None:
    values = {"name": seen.name, "power_state": seen.power_state}
    rows.change_vm(tx, row.id, values | times)
    if seen.disks is not None and not _same_disks(stored, seen):
        rows.replace_disks(tx, row.id, seen.disks)


def _same(row: sa.Row[Any], stored: Sequence[Disk], seen: ObservedVm) -> bool:
    return (
        row.gone_at is None
        and (row.name, row.power_state) == (seen.name, seen.power_state)
        and _same_disks(stored, seen)
    )


def _same_disks(stored: Sequence[Disk], seen: ObservedVm) -> bool:
    """True as well when nobody looked at them."""
    return seen.disks is None or tuple(seen.disks) == tuple(
        ObservedDisk(d.external_id, d.alias, d.image, d.size_bytes, d.domain)
        for d in stored
    )


def _apply_others(
    tx: Transaction,
    provider_id: str,
    listing: Listing,
    began: datetime,
    lag: timedelta,
) -> None:
    """Write all that has one row each, once the VMs are written; a snapshot of a VM
    that we do not know is left out."""
    owners = rows.vms_of(tx, provider_id)
    shown: dict[sa.Table, list[dict[str, Any]]] = {
        templates: [
            asdict(it) | {"images": list(it.images)} for it in listing.templates
        ],
        tenants: [asdict(it) for it in listing.tenants],
        snapshots: [
            {"external_id": it.external_id, "name": it.name, "vm_id": owners[it.vm].id}
            for it in listing.snapshots
            if it.vm in owners
        ],
    }
    for table, things in shown.items():
        listed.apply(tx, table, provider_id, things, began, lag)
