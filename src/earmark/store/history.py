"""History: what stands in the way of forgetting ended tasks, and what is left of them
when they are forgotten."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from earmark.domain.states import PlaceholderState, TaskState
from earmark.store import claims, columns
from earmark.store.database import Transaction
from earmark.store.schema import (
    evidence,
    orphans,
    placeholders,
    provider_drafts,
    secrets,
    sends,
    task_log,
    task_needs,
    tasks,
    tombstones,
)
from earmark.store.wakeups import Topic

_P = PlaceholderState
#: Effects of which nothing more is to be found out.
_OVER = (_P.SETTLED, _P.REFUSED, _P.DROPPED, _P.EXPLAINED, _P.ORPHAN, _P.ELSEWHERE)


def obstacles(tx: Transaction, roots: Sequence[str]) -> dict[str, str]:
    """Root → why it is to be kept, in words; those that may go are left out. That one
    is tried again by another is for the caller: see `retries`."""
    found: dict[str, str] = {}
    for why, query in _reasons(roots):
        for root in tx.execute(query).scalars():
            found.setdefault(root, why)
    return found


def _reasons(roots: Sequence[str]) -> list[tuple[str, sa.Select[tuple[str]]]]:
    effects = placeholders
    of_these = tasks.c.root_id.in_(roots)
    left = tasks.c.error["left_behind"]
    open_effects = sa.select(effects.c.root_id).where(
        effects.c.root_id.in_(roots), effects.c.state.not_in(_OVER)
    )
    on_their_way = (
        sa.select(effects.c.root_id)
        .join(sends, sends.c.placeholder_id == effects.c.id)
        .where(
            effects.c.root_id.in_(roots),
            sends.c.over_at.is_(None),
            sends.c.answered.is_(sa.false()),
        )
    )
    orphaned = (
        sa.select(effects.c.root_id)
        .join(orphans, orphans.c.token == effects.c.id)
        .where(effects.c.root_id.in_(roots), sa.text("earmark_orphans.state = 'open'"))
    )
    return [
        (
            "It has not ended yet.",
            sa.select(tasks.c.root_id).where(of_these, tasks.c.state != TaskState.DONE),
        ),
        (
            "What became of a request of it is still open: it is watched for.",
            open_effects,
        ),
        ("A request of it may still be on its way.", on_their_way),
        ("It is the story of an orphan that nobody has decided about.", orphaned),
        (
            "It left something behind at a provider, which only its page tells.",
            sa.select(tasks.c.root_id).where(of_these, left.as_string().is_not(None)),
        ),
        (
            "A form for a new provider waits for its answer.",
            sa.select(tasks.c.root_id)
            .join(provider_drafts, provider_drafts.c.task_id == tasks.c.id)
            .where(of_these, provider_drafts.c.provider_id.is_(None)),
        ),
    ]


def retries(tx: Transaction, roots: Sequence[str]) -> list[tuple[str, str]]:
    """Which of these roots a later task tries again: root and later task."""
    query = sa.select(tasks.c.retry_of, tasks.c.id).where(tasks.c.retry_of.in_(roots))
    return [(row.retry_of, row.id) for row in tx.execute(query)]


def ended_before(
    tx: Transaction, moment: datetime, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[datetime, str]]:
    """Roots that ended before a moment: when, and which. `after` is where the last
    batch ended."""
    query = (
        sa.select(tasks.c.finished_at, tasks.c.id)
        .where(
            tasks.c.parent_id.is_(None),
            tasks.c.finished_at.is_not(None),
            tasks.c.finished_at < moment,
        )
        .order_by(tasks.c.finished_at.desc(), tasks.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        at = sa.literal(after[0], columns.UtcDateTime())
        place = sa.tuple_(tasks.c.finished_at, tasks.c.id)
        query = query.where(place < sa.tuple_(at, sa.literal(after[1])))
    return [(row.finished_at, row.id) for row in tx.execute(query)]


def delete(tx: Transaction, roots: Sequence[str]) -> None:
    """Delete these families whole; a tombstone stays of each root, and of each effect
    that was ever sent (rule 17)."""
    tx.execute(
        sa.insert(tombstones).from_select(
            ["token", "provider_id", "at", "what"],
            sa.select(
                tasks.c.id, sa.null(), tasks.c.finished_at, _what(tasks.c.outcome)
            ).where(tasks.c.id.in_(roots)),
        )
    )
    sent = sa.select(
        placeholders.c.id,
        placeholders.c.provider_id,
        tasks.c.finished_at,
        _what(claims.came_to()),
    ).join(tasks, tasks.c.id == placeholders.c.task_id)
    sent = sent.where(
        placeholders.c.root_id.in_(roots), placeholders.c.first_sent_at.is_not(None)
    )
    tx.execute(
        sa.insert(tombstones).from_select(["token", "provider_id", "at", "what"], sent)
    )
    family = sa.select(tasks.c.id).where(tasks.c.root_id.in_(roots))
    effects = sa.select(placeholders.c.id).where(placeholders.c.task_id.in_(family))
    for table in (evidence, sends):
        tx.execute(sa.delete(table).where(table.c.placeholder_id.in_(effects)))
    for table in (placeholders, task_log, task_needs, secrets):
        tx.execute(sa.delete(table).where(table.c.task_id.in_(family)))
    tx.execute(sa.delete(tasks).where(tasks.c.root_id.in_(roots)))
    tx.wake(Topic.CHANGES)


def _what(came_to: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return came_to.concat(": ").concat(tasks.c.title)
