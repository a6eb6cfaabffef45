"""Drafts of providers: a form that was sent, while its credentials are verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import UnknownName
from earmark.store.database import Transaction
from earmark.store.schema import provider_drafts
from earmark.store.secrets import delete as delete_secrets


@dataclass(frozen=True, slots=True)
class Draft:
    """A form for a new provider; secrets are ids of sealed rows."""

    id: str
    owner: str
    name: str
    kind: str
    zone: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    task_id: str | None
    provider_id: str | None


_FIELDS = [provider_drafts.c[name] for name in Draft.__slots__]


def insert(tx: Transaction, draft: Draft) -> None:
    """Store a draft."""
    values = {name: getattr(draft, name) for name in Draft.__slots__}
    tx.execute(sa.insert(provider_drafts).values(**values, created_at=tx.now))


def get(tx: Transaction, draft_id: str, owner: str) -> Draft:
    """The owner's draft; raises `UnknownName`, for anybody else's too."""
    return _one(tx, provider_drafts.c.id == draft_id, owner)


def of_task(tx: Transaction, task_id: str, owner: str) -> Draft:
    """The owner's draft that a verification belongs to; raises `UnknownName`."""
    return _one(tx, provider_drafts.c.task_id == task_id, owner)


def change(tx: Transaction, draft_id: str, **values: Any) -> None:
    """Change columns of a draft."""
    tx.execute(
        sa.update(provider_drafts)
        .where(provider_drafts.c.id == draft_id)
        .values(**values)
    )


def unfinished(tx: Transaction, owner: str) -> list[Draft]:
    """The owner's drafts that have not become providers, the newest first."""
    query = (
        sa.select(*_FIELDS)
        .where(
            provider_drafts.c.owner == owner, provider_drafts.c.provider_id.is_(None)
        )
        .order_by(provider_drafts.c.id.desc())
        .limit(20)
    )
    return [Draft(**row._mapping) for row in tx.execute(query)]


def delete(tx: Transaction, draft: Draft) -> None:
    """Delete a draft that a later one replaces, with its secrets."""
    delete_secrets(tx, list(draft.secrets.values()))
    tx.execute(sa.delete(provider_drafts).where(provider_drafts.c.id == draft.id))


def prune(tx: Transaction, before: datetime) -> int:
    """Delete drafts made before then, with the secrets that became no provider's."""
    rows = tx.execute(
        sa.select(*_FIELDS).where(provider_drafts.c.created_at < before)
    ).all()
    for row in rows:
        if row.provider_id is None:
            delete_secrets(tx, list(row.secrets.values()))
        tx.execute(sa.delete(provider_drafts).where(provider_drafts.c.id == row.id))
    return len(rows)


def _one(tx: Transaction, which: sa.ColumnElement[bool], owner: str) -> Draft:
    row = tx.execute(
        sa.select(*_FIELDS).where(which, provider_drafts.c.owner == owner)
    ).one_or_none()
    if row is None:
        raise UnknownName(
            "This form is no longer kept.", hint="Fill it in again: /providers/new"
        )
    return Draft(**row._mapping)
