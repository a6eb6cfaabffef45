"""Tenants as views."""

from earmark.store import inventory
from earmark.store.database import Transaction
from earmark.store.tenants import list_tenants
from earmark.web.reading.tasks import refs
from earmark.web.views import ProviderRef, TenantView


def tenant_views(tx: Transaction) -> tuple[TenantView, ...]:
    """Show every tenant."""
    known = list_tenants(tx)
    providers = {provider.id: provider for provider in inventory.list_providers(tx)}
    makers = refs(tx, {it.task_id for it in known if it.task_id})
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
