"""Undo: which effects of a root are done, which are to be taken back, which were."""

import sqlalchemy as sa

from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.store import placeholders
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as table
from earmark.store.wakeups import Topic

_ALL = [table.c[name] for name in Placeholder.__slots__]


def done_of_root(tx: Transaction, root_id: str) -> list[Placeholder]:
    """Every effect of a root that has ended well at its provider."""
    query = sa.select(*_ALL).where(
        table.c.root_id == root_id, table.c.ended_well.is_(True)
    )
    return [placeholders.from_row(row) for row in tx.execute(query)]


def to_undo(tx: Transaction, root_id: str) -> list[Placeholder]:
    """Every effect of a root that was accepted and has ended, whose command says how to
    take it back, and that was not taken back yet; in the order of their promises."""
    query = sa.select(*_ALL).where(
        table.c.root_id == root_id,
        table.c.undoable,
        table.c.state == PlaceholderState.SETTLED,
        table.c.external_id.is_not(None),
        table.c.undone_at.is_(None),
    )
    return [
        placeholders.from_row(row) for row in tx.execute(query.order_by(table.c.id))
    ]


def watched(tx: Transaction, root_id: str) -> list[Placeholder]:
    """Every effect of a root of which a person gave up waiting, and that is not known
    to be absent: a sweep may have found it since."""
    there = (PlaceholderState.WATCHED, PlaceholderState.ORPHAN)
    query = sa.select(*_ALL).where(table.c.root_id == root_id, table.c.state.in_(there))
    return [placeholders.from_row(row) for row in tx.execute(query)]


def undone(tx: Transaction, placeholder_id: str) -> None:
    """Nothing of an effect that has ended is left at its provider: of what is over,
    nobody else writes."""
    tx.execute(
        sa.update(table)
        .where(table.c.id == placeholder_id)
        .values(undone_at=tx.now, version=table.c.version + 1)
    )
    tx.wake(Topic.CHANGES)
