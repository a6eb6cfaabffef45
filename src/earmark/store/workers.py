"""Worker rows: registration, beats, and leadership by lease."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import leases, sends, tasks, workers
from earmark.store.wakeups import Topic

#: States of a worker that may still be doing something.
ALIVE = ("live", "draining", "silent")
#: Without a beat for so long, people are told that a worker is silent: soon enough that
#: whoever waits knows within ten seconds. Only faces go by the age of a beat: what is
#: taken over is decided by counters (rule 14).
QUIET = timedelta(seconds=7)


def register(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a new worker, live, with its first beat."""
    tx.execute(
        sa.insert(workers).values(
            **values, state="live", beat=1, started_at=tx.now, seen_at=tx.now
        )
    )
    tx.wake(Topic.CHANGES)


def beat(tx: Transaction, worker_id: str, state: str) -> bool:
    """Count up. False when somebody has declared this worker gone: it must stop."""
    row = tx.execute(
        sa.update(workers)
        .where(workers.c.id == worker_id, workers.c.state.in_(ALIVE))
        .values(beat=workers.c.beat + 1, seen_at=tx.now, state=state)
    )
    return row.rowcount == 1


def set_state(
    tx: Transaction, worker_id: str, state: str, *, of: Sequence[str]
) -> bool:
    """Move a worker to another state, if it is in one of `of`."""
    changed = tx.execute(
        sa.update(workers)
        .where(workers.c.id == worker_id, workers.c.state.in_(of))
        .values(state=state)
    )
    if changed.rowcount:
        tx.wake(Topic.CHANGES)
    return changed.rowcount == 1


def alive(tx: Transaction) -> Sequence[sa.Row[Any]]:
    """Every worker that may still be doing something."""
    return tx.execute(
        sa.select(workers).where(workers.c.state.in_(ALIVE)).order_by(workers.c.id)
    ).all()


def gone_with_work(tx: Transaction) -> Sequence[str]:
    """Workers that are gone, and yet have a task that runs, or a send that is not over:
    who attested it died before the rest was done, or what the worker had committed came
    only after it was dead."""
    running = sa.select(tasks.c.worker_id).where(tasks.c.state == TaskState.RUNNING)
    sending = sa.select(sends.c.sender_id).where(sends.c.over_at.is_(None))
    left = sa.or_(workers.c.id.in_(running), workers.c.id.in_(sending))
    query = sa.select(workers.c.id).where(workers.c.state == "gone", left)
    return tx.execute(query).scalars().all()


def listed(tx: Transaction, recent: timedelta) -> Sequence[sa.Row[Any]]:
    """The workers alive, and those that ended within `recent`."""
    return tx.execute(
        sa.select(workers)
        .where(sa.or_(workers.c.state.in_(ALIVE), workers.c.seen_at > tx.now - recent))
        .order_by(workers.c.zone, workers.c.id)
    ).all()


def prunable(before: datetime) -> sa.ColumnElement[bool]:
    """Ended, not heard since `before`, and nothing leans on the row any more: neither a
    task that it ran, nor a send that may still land."""
    running = sa.select(tasks.c.id).where(
        tasks.c.worker_id == workers.c.id, tasks.c.state == TaskState.RUNNING
    )
    sending = sa.select(sends.c.nonce).where(
        sends.c.sender_id == workers.c.id,
        sends.c.over_at.is_(None),
        sends.c.answered.is_(False),
    )
    return sa.and_(
        workers.c.state.not_in(ALIVE),
        workers.c.seen_at < before,
        ~running.exists(),
        ~sending.exists(),
    )


def prune(tx: Transaction, before: datetime) -> None:
    """Forget the workers that ended before then."""
    tx.execute(sa.delete(workers).where(prunable(before)))


def shown_state(row: sa.Row[Any], now: datetime) -> str:
    """What faces say of a worker: a row that says `live` is believed while it is fresh.

    When all workers of an installation die at once, nobody is left to say so.
    """
    quiet = now - row.seen_at > QUIET
    return "silent" if quiet and row.state in ALIVE else str(row.state)


def live(tx: Transaction, zone: str, role: str | None = None) -> int:
    """How many workers of the zone (that may work in the role) can take a task now."""
    rows = tx.execute(
        sa.select(workers).where(workers.c.zone == zone, workers.c.state == "live")
    ).all()
    return sum(
        shown_state(row, tx.now) == "live"
        and (role is None or "*" in row.roles or role in row.roles)
        for row in rows
    )


def served_zones(tx: Transaction) -> frozenset[str]:
    """The zones in which anybody would take a task now."""
    rows = tx.execute(sa.select(workers).where(workers.c.state == "live")).all()
    return frozenset(row.zone for row in rows if shown_state(row, tx.now) == "live")


def lead(tx: Transaction, name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease; False while another holds it (rule 7)."""
    expires = tx.now + timedelta(seconds=seconds)
    values = {"name": name, "holder": holder, "expires_at": expires}
    if dialect.insert_new(tx.connection, leases, values):
        return True
    renewed = tx.execute(
        sa.update(leases)
        .where(
            leases.c.name == name,
            sa.or_(leases.c.holder == holder, leases.c.expires_at < tx.now),
        )
        .values(holder=holder, expires_at=expires)
    )
    return renewed.rowcount == 1


def give_up_leases(tx: Transaction, holder: str) -> None:
    """Let others lead at once."""
    tx.execute(sa.delete(leases).where(leases.c.holder == holder))
