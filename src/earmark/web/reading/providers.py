"""Providers as views."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

from earmark.domain.inventory import Provider
from earmark.store import schema
from earmark.store.database import Transaction
from earmark.web.reading import tasks as reading_tasks
from earmark.web.views import ProviderView

_HEALTH: dict[str, Literal["ok", "failing"]] = {"ok": "ok", "error": "failing"}


def provider_views(tx: Transaction, shown: Sequence[Provider]) -> list[ProviderView]:
    """Show many providers."""
    ids = [provider.id for provider in shown]
    busy = reading_tasks.busy_on(tx, "provider", ids)
    vms = schema.vms
    count = (
        sa.select(vms.c.provider_id, sa.func.count().label("vms"))
        .where(vms.c.gone_at.is_(None))
        .group_by(vms.c.provider_id)
    )
    counts = {row.provider_id: int(row.vms) for row in tx.execute(count)}
    return [
        ProviderView(
            id=it.id,
            name=it.name,
            kind=it.kind,
            zone=it.zone,
            health=_HEALTH.get(it.health, "unknown"),
            health_text=it.health_message or None,
            refreshed_at=it.refreshed_at,
            vms=counts.get(it.id, 0),
            busy_task=busy.get(it.id),
            facts=tuple(
                (name.replace("_", " ").capitalize(), str(value))
                for name, value in it.settings.items()
                if value is not None
            ),
        )
        for it in shown
    ]
