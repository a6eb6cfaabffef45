"""Unheard: who does not answer. Silence is not death (rule 1), and it is not nothing
either: whoever waits is told of it, and since when."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from earmark.domain.task import Placeholder
from earmark.store.database import Transaction
from earmark.store.schema import evidence

#: How long a call may go on, or a question be overdue, before that is worth a word.
PATIENCE = timedelta(seconds=5)


def unanswered_since(
    tx: Transaction, effects: Iterable[Placeholder]
) -> Mapping[str, datetime]:
    """Effect → since when its provider has not answered, of those asked in vain."""
    ids = [effect.id for effect in effects if effect.checks]
    if not ids:
        return {}
    # Written at the first of the questions in a row that have no answer.
    first = sa.func.max(evidence.c.at, type_=evidence.c.at.type).label("since")
    query = (
        sa.select(evidence.c.placeholder_id, first)
        .where(evidence.c.placeholder_id.in_(ids), evidence.c.kind == "unanswered")
        .group_by(evidence.c.placeholder_id)
    )
    return {row.placeholder_id: row.since for row in tx.execute(query)}


def overdue(effect: Placeholder, now: datetime) -> bool:
    """True when the provider was to be asked a while ago, and nothing is known of an
    answer: the question hangs, or nobody gets round to it."""
    due = effect.next_check_at
    return due is not None and due < now - PATIENCE
