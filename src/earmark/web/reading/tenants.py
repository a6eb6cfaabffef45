"""Tenants as views."""

from collections.abc import Iterable

import sqlalchemy as sa

from earmark.store import inventory, schema
from earmark.store.database import Transaction
from earmark.store.tenants import list_tenants
from earmark.web.views import ProviderRef, Ref, TenantView


def tenant_views(tx: Transaction) -> tuple[TenantView, ...]:
    """Show every tenant."""
    known = list_tenants(tx)
    providers = {provider.id: provider for provider in inventory.list_providers(tx)}
    makers = _makers(tx, {it.task_id for it in known if it.task_id})
    found = []
    for it in known:
        home = providers[it.provider_id]
        found.append(
            TenantView(
                id=it.id,
                name=it.name,
                description=it.description,
                provider=ProviderRef(home.id, home.name, home.kind),
                created_at=it.created_at,
                task=makers.get(it.task_id or ""),
            )
        )
    return tuple(found)


def _makers(tx: Transaction, ids: Iterable[str]) -> dict[str, Ref]:
    """Task id → the task; those that are not kept any more are missing."""
    tasks = schema.tasks
    query = sa.select(tasks.c.id, tasks.c.title).where(tasks.c.id.in_(list(ids)))
    return {
        row.id: Ref("task", row.id, row.title, f"/tasks/{row.id}")
        for row in tx.execute(query)
    }
