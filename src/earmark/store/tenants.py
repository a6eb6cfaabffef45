"""Tenants of providers: plain reads of their rows."""

from typing import Any

import sqlalchemy as sa

from earmark.domain.inventory import Tenant
from earmark.store.database import Transaction
from earmark.store.schema import tenants


def _tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(
        id=row.id,
        provider_id=row.provider_id,
        external_id=row.external_id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        task_id=row.task_id,
    )


def list_tenants(tx: Transaction) -> list[Tenant]:
    """Tenants that exist as far as we know, by name."""
    query = sa.select(tenants).where(tenants.c.gone_at.is_(None))
    query = query.order_by(tenants.c.name, tenants.c.id)
    return [_tenant(row) for row in tx.execute(query)]


def tenant_named(tx: Transaction, provider_id: str, name: str) -> Tenant | None:
    """The provider's tenant of that name, if we know one."""
    query = sa.select(tenants).where(
        tenants.c.provider_id == provider_id,
        tenants.c.name == name,
        tenants.c.gone_at.is_(None),
    )
    row = tx.execute(query.limit(1)).one_or_none()
    return None if row is None else _tenant(row)


def tenant(tx: Transaction, tenant_id: str) -> Tenant:
    """The tenant of that id, which exists."""
    return _tenant(
        tx.execute(sa.select(tenants).where(tenants.c.id == tenant_id)).one()
    )
