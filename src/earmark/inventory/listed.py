"""Writing what a provider listed, or a command of ours made, for every kind of thing
that is one row: templates, snapshots, tenants. What may overwrite what is rule 18."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.inventory.recency import newer
from earmark.store import listed as rows
from earmark.store.database import Transaction
from earmark.store.schema import snapshots, templates, tenants

#: Which rows tell of a kind of thing, by the connectors' word for it.
_OF_KIND = {"template": templates, "tenant": tenants, "snapshot": snapshots}


def add(
    tx: Transaction, table: sa.Table, provider_id: str, made: dict[str, Any]
) -> str:
    """Write a thing that a command of ours has made; returns its id. A refresh that
    listed it meanwhile may have been quicker."""
    external_id = made["external_id"]
    values = made | {
        "provider_id": provider_id,
        "observed_at": tx.now,
        "command_at": tx.now,
    }
    row = rows.lock(tx, table, provider_id, [external_id]).get(external_id)
    if row is None:
        identity = rows.insert(tx, table, values)
        if identity is not None:
            return identity
        row = rows.lock(tx, table, provider_id, [external_id])[external_id]
    rows.change(tx, table, row.id, values)
    return str(row.id)


def taken_away(tx: Transaction, provider_id: str, kind: str, external_id: str) -> None:
    """Write that a command of ours has removed a thing, if there is a row of it: a
    listing that began before does not bring it back."""
    table = _OF_KIND.get(kind)
    if table is None:
        return
    row = rows.lock(tx, table, provider_id, [external_id]).get(external_id)
    if row is not None and row.gone_at is None:
        rows.change(tx, table, row.id, {"gone_at": tx.now, "command_at": tx.now})


def apply(
    tx: Transaction,
    table: sa.Table,
    provider_id: str,
    shown: Iterable[dict[str, Any]],
    began: datetime,
    lag: timedelta,
) -> None:
    """Make the rows of a provider what a whole listing showed: columns by name, with
    `external_id` among them."""
    known = rows.lock(tx, table, provider_id)
    same = []
    for seen in shown:
        external_id = seen["external_id"]
        values = seen | {"observed_at": began}
        row = known.pop(external_id, None)
        if row is None:
            if rows.insert(tx, table, values | {"provider_id": provider_id}):
                continue
            row = rows.lock(tx, table, provider_id, [external_id])[external_id]
        if newer(row, began, lag):
            continue
        if row.gone_at is None and all(
            getattr(row, name) == value for name, value in seen.items()
        ):
            same.append(row.id)
        else:
            rows.change(tx, table, row.id, values)
    rows.touch(tx, table, same, began)
    for row in known.values():
        if row.gone_at is None and not newer(row, began, lag):
            rows.gone(tx, table, row.id, began)
