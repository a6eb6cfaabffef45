"""Writing which snapshots were seen or taken; what may overwrite what is rule 18."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from earmark.domain.inventory import ObservedSnapshot, Vm
from earmark.inventory.recency import newer
from earmark.store import inventory
from earmark.store import snapshots as rows
from earmark.store.database import Transaction


def add_snapshot(tx: Transaction, vm: Vm, external_id: str, name: str) -> str:
    """Write a snapshot that a command of ours has taken; returns its id. A refresh
    that listed it meanwhile may have been quicker."""
    values = {
        "provider_id": vm.provider_id,
        "vm_id": vm.id,
        "external_id": external_id,
        "name": name,
        "observed_at": tx.now,
        "command_at": tx.now,
    }
    return _write(tx, values)


def apply_snapshots(
    tx: Transaction,
    provider_id: str,
    listed: Sequence[ObservedSnapshot],
    began: datetime,
    lag: timedelta,
) -> None:
    """Make the snapshots of a provider what a whole listing showed, once its VMs are
    written; one of a VM that we do not know is left out."""
    known = rows.lock(tx, provider_id)
    owners = inventory.vms_of(tx, provider_id)
    same = []
    for seen in listed:
        if seen.vm not in owners:
            continue
        values: dict[str, Any] = {
            "provider_id": provider_id,
            "vm_id": owners[seen.vm].id,
            "external_id": seen.external_id,
            "name": seen.name,
            "observed_at": began,
        }
        row = known.pop(seen.external_id, None)
        if row is None:
            if rows.insert(tx, values):
                continue
            row = rows.lock(tx, provider_id, [seen.external_id])[seen.external_id]
        if newer(row, began, lag):
            continue
        if row.gone_at is None and row.name == seen.name:
            same.append(row.id)
        else:
            rows.change(tx, row.id, values)
    rows.touch(tx, same, began)
    for row in known.values():
        if row.gone_at is None and not newer(row, began, lag):
            rows.gone(tx, row.id, began)


def _write(tx: Transaction, values: dict[str, Any]) -> str:
    provider_id, external_id = values["provider_id"], values["external_id"]
    row = rows.lock(tx, provider_id, [external_id]).get(external_id)
    if row is None:
        snapshot_id = rows.insert(tx, values)
        if snapshot_id is not None:
            return snapshot_id
        row = rows.lock(tx, provider_id, [external_id])[external_id]
    rows.change(tx, row.id, values)
    return str(row.id)
