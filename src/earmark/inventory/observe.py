"""Writing what was seen. An observation carries the time its fetch began: an older one
never wins, nor does a listing within the provider's lag after a command of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.inventory import (
    Disk,
    Listing,
    ObservedDisk,
    ObservedTemplate,
    ObservedVm,
)
from earmark.store import inventory as rows
from earmark.store.database import Transaction


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
    row = rows.vms_of(tx, provider_id).get(seen.external_id)
    if row is not None and row.observed_at >= began:
        return False
    _put(tx, provider_id, row, seen, began, command_at=tx.now)
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
    known = rows.vms_of(tx, provider_id)
    listed = {vm.external_id for vm in listing.vms}
    for vm in listing.vms:
        row = known.get(vm.external_id)
        if row is not None and _newer(row, began, lag):
            changes.skipped += 1
        elif row is None:
            changes.new += 1
            _put(tx, provider_id, None, vm, began)
        elif _put(tx, provider_id, row, vm, began):
            changes.changed += 1
    for external_id, row in known.items():
        if external_id in listed or row.gone_at or _newer(row, began, lag):
            continue
        changes.gone += 1
        rows.vm_gone(tx, row.id, began)
    _apply_templates(tx, provider_id, listing.templates, began, lag)
    return changes


def _newer(row: sa.Row[Any], began: datetime, lag: timedelta) -> bool:
    if row.observed_at >= began:
        return True
    command_at = row._mapping.get("command_at")
    return command_at is not None and command_at + lag > began


def _put(
    tx: Transaction,
    provider_id: str,
    row: sa.Row[Any] | None,
    seen: ObservedVm,
    began: datetime,
    command_at: datetime | None = None,
) -> bool:
    """Write a VM; True when anything about it is different from before."""
    values: dict[str, Any] = {"name": seen.name, "power_state": seen.power_state}
    same = (
        row is not None
        and not row.gone_at
        and all(row._mapping[name] == value for name, value in values.items())
    )
    stored = [] if row is None else rows.disks_of(tx, row.id)
    same_disks = not seen.disks or _as_observed(stored) == list(seen.disks)
    if same and same_disks and command_at is None:
        assert row is not None
        rows.touch_vm(tx, row.id, began)
        return False
    values |= {
        "provider_id": provider_id,
        "external_id": seen.external_id,
        "observed_at": began,
        "command_at": command_at or (row.command_at if row else None),
    }
    vm_id = rows.put_vm(tx, row.id if row else None, values)
    if not same_disks:
        rows.replace_disks(tx, vm_id, seen.disks)
    return not (same and same_disks)


def _as_observed(disks: Sequence[Disk]) -> list[ObservedDisk]:
    return [
        ObservedDisk(d.external_id, d.alias, d.image, d.size_bytes, d.domain)
        for d in disks
    ]


def _apply_templates(
    tx: Transaction,
    provider_id: str,
    listed: Sequence[ObservedTemplate],
    began: datetime,
    lag: timedelta,
) -> None:
    known = rows.templates_of(tx, provider_id)
    for seen in listed:
        row = known.pop(seen.external_id, None)
        if row is not None and row.observed_at + lag > began:
            continue
        values = {
            "provider_id": provider_id,
            "external_id": seen.external_id,
            "name": seen.name,
            "images": list(seen.images),
            "observed_at": began,
        }
        rows.put_template(tx, row.id if row else None, values)
    for row in known.values():
        if row.gone_at is None and row.observed_at + lag < began:
            rows.template_gone(tx, row.id, began)
