"""Patience: how long a state that was asked for may take. Nobody wants to wait so long
for a job that has failed and that the lab was told to forget."""

from collections.abc import Set

import sqlalchemy as sa

from earmark.commands.stands import PATIENCE
from earmark.domain.states import PlaceholderState
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.schema import placeholders


def spend(engine: Engine, tokens: Set[str]) -> list[str]:
    """Let the requests with these tokens that are being followed have been made longer
    ago than anybody is patient; tells which ones were."""

    def age(tx: Transaction) -> list[str]:
        table = placeholders.c
        followed = table.id.in_(tokens) & (table.state == PlaceholderState.BOUND)
        found = tx.execute(sa.select(table.id, table.first_sent_at).where(followed))
        rows = list(found)
        for row in rows:
            this = sa.update(placeholders).where(table.id == row.id)
            tx.execute(this.values(first_sent_at=row.first_sent_at - PATIENCE))
        return [row.id for row in rows]

    return engine.write(age) if tokens else []
