"""Rows of what providers list whole, one table per kind of thing: VMs, templates,
snapshots, tenants. A thing is one provider's, has an id there, and may be gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.wakeups import Topic


def lock(
    tx: Transaction,
    table: sa.Table,
    provider_id: str,
    external_ids: Sequence[str] | None = None,
) -> dict[str, sa.Row[Any]]:
    """External id → row of these or all of a provider's things, the gone ones too;
    nobody else writes them until we commit: what is judged from the rows (rule 18)
    still holds when they are written."""
    query = sa.select(table).where(table.c.provider_id == provider_id)
    if external_ids is not None:
        query = query.where(table.c.external_id.in_(external_ids))
    rows = tx.execute(dialect.for_update(query.order_by(table.c.id)))
    return {row.external_id: row for row in rows}


def insert(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> str | None:
    """Insert a thing; returns its id, or None when somebody has just done so. Columns
    that are not in `values` are null."""
    tx.wake(Topic.CHANGES)
    unknown = dict.fromkeys((c.name for c in table.c if c.nullable), None)
    row = unknown | values | {"id": new_id(), "created_at": tx.now}
    return row["id"] if dialect.insert_new(tx.connection, table, row) else None


def change(
    tx: Transaction, table: sa.Table, identity: str, values: dict[str, Any]
) -> None:
    """Change a locked thing, which exists."""
    tx.execute(
        sa.update(table)
        .where(table.c.id == identity)
        .values({"gone_at": None} | values)
    )
    tx.wake(Topic.CHANGES)


def touch(
    tx: Transaction, table: sa.Table, ids: Sequence[str], observed_at: datetime
) -> None:
    """Seen again, and nothing about them has changed."""
    if ids:
        seen = sa.update(table).where(table.c.id == sa.bindparam("which"))
        seen = seen.values(observed_at=observed_at)
        tx.execute(seen, [{"which": identity} for identity in ids])


def gone(tx: Transaction, table: sa.Table, identity: str, since: datetime) -> None:
    """A whole listing lacks it, which is an observation too."""
    tx.execute(
        sa.update(table)
        .where(table.c.id == identity)
        .values(gone_at=since, observed_at=since)
    )
    tx.wake(Topic.CHANGES)
