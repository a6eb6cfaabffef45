"""Durations: how long runs of the same kind took before."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from earmark.store.columns import UtcDateTime
from earmark.store.database import Transaction
from earmark.store.schema import tasks

#: A command's name, and the provider that it asks, if any.
Kind = tuple[str, str | None]

#: How many of the newest runs of a kind are looked at.
RUNS = 200
#: Kinds in one statement; both stores take more.
_CHUNK = 100


def took(tx: Transaction, kinds: Iterable[Kind]) -> dict[Kind, list[timedelta]]:
    """How long the newest runs of each kind took that ended ok, from the first claim to
    the end. A kind that never ended ok is missing."""
    wanted = sorted(set(kinds), key=str)
    found: dict[Kind, list[timedelta]] = {}
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        parts = [_newest(place, kind) for place, kind in enumerate(some)]
        for row in tx.execute(sa.union_all(*parts)):
            length = row.finished_at - row.started_at
            found.setdefault(some[row.place], []).append(length)
    return found


def _newest(place: int, kind: Kind) -> sa.Select[int, datetime, datetime]:
    """SELECT of the newest runs of one kind, numbered by the kind's place."""
    command, provider_id = kind
    # Literals, so that both planners can use the partial indexes.
    if provider_id is None:
        where = sa.text("outcome = 'ok' AND provider_id IS NULL")
        same: tuple[sa.ColumnElement[bool], ...] = ()
    else:
        where = sa.text("outcome = 'ok' AND provider_id IS NOT NULL")
        same = (tasks.c.provider_id == provider_id,)
    newest = (
        sa.select(tasks.c.started_at, tasks.c.finished_at)
        .where(where, tasks.c.command == command, *same)
        .order_by(tasks.c.id.desc())
        .limit(RUNS)
        .subquery()
    )
    # A member of a UNION forgets its types: they are said again.
    return sa.select(
        sa.literal_column(str(place), sa.Integer).label("place"),
        sa.type_coerce(newest.c.started_at, UtcDateTime()).label("started_at"),
        sa.type_coerce(newest.c.finished_at, UtcDateTime()).label("finished_at"),
    )
