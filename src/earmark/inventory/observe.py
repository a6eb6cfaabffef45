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
from earmark.inventory.recency import newer
from earmark.inventory.snapshots import apply_snapshots
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
    row = rows.lock_vms(tx, provider_id, [seen.external_id]).get(seen.external_id)
    row = row or _add(tx, provider_id, seen, began, command_at=tx.now)
    if row is None:
        return True
    if row.observed_at >= began:
        return False
    stored = rows.disks_of(tx, row.id)
    _change(tx, row, stored, seen, {"observed_at": began, "command_at": tx.now})
    return True


def add_template(tx: Transaction, provider_id: str, made: dict[str, Any]) -> str:
    """Write a template that a command of ours has made; returns its id. A refresh that
    listed it meanwhile may have been quicker."""
    external_id = made["external_id"]
    values = made | {
        "provider_id": provider_id,
        "observed_at": tx.now,
        "command_at": tx.now,
    }
    row = rows.lock_templates(tx, provider_id, [external_id]).get(external_id)
    if row is None:
        template_id = rows.insert_template(tx, values)
        if template_id is not None:
            return template_id
        row = rows.lock_templates(tx, provider_id, [external_id])[external_id]
    rows.change_template(tx, row.id, values)
    return str(row.id)


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
    _apply_templates(tx, provider_id, listing.templates, began, lag)
    apply_snapshots(tx, provider_id, listing.snapshots, began, lag)
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


def _apply_templates(
    tx: Transaction,
    provider_id: str,
    listed: Sequence[ObservedTemplate],
    began: datetime,
    lag: timedelta,
) -> None:
    known = rows.lock_templates(tx, provider_id)
    same = []
    for seen in listed:
        row = known.pop(seen.external_id, None)
        values = {
            "external_id": seen.external_id,
            "name": seen.name,
            "images": list(seen.images),
            "observed_at": began,
        }
        if row is None:
            if rows.insert_template(tx, values | {"provider_id": provider_id}):
                continue
            row = rows.lock_templates(tx, provider_id, [seen.external_id])[
                seen.external_id
            ]
        if newer(row, began, lag):
            continue
        if row.gone_at is None and (row.name, row.images) == (
            seen.name,
            list(seen.images),
        ):
            same.append(row.id)
        else:
            rows.change_template(tx, row.id, values)
    rows.touch_templates(tx, same, began)
    for row in known.values():
        if row.gone_at is None and not newer(row, began, lag):
            rows.template_gone(tx, row.id, began)
