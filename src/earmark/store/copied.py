"""Copied: this database is a copy, used beside the one that it was copied from.

What had not ended when the copy was made is the original's, which goes on with it. If
the copy followed it too, both would send, stop and take back the same (rule 17). So it
ends here, with nothing sent, nothing undone and nothing decided.
"""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.domain.orphan import OrphanState
from earmark.domain.states import (
    PLACEHOLDER_MOVES,
    Outcome,
    PlaceholderState,
    TaskState,
    sources,
)
from earmark.store import epoch, journal, notifications, secrets
from earmark.store.database import Transaction
from earmark.store.schema import (
    installation,
    leases,
    lock_queue,
    locks,
    orphans,
    placeholders,
    sends,
    sweeps,
    tasks,
    workers,
)
from earmark.store.wakeups import Topic
from earmark.store.workers import ALIVE

#: Tasks in one statement; both stores take more.
_CHUNK = 500
#: The code of the error that a task ends with.
CODE = "belongs-to-the-original"


@dataclass(frozen=True, slots=True)
class Disowned:
    """The new installation id, that of the original, how many tasks ended here, and
    how far the new epoch counts (see `epoch.remember`)."""

    now: str
    was: str
    tasks: int
    heard: int


def unfinished(tx: Transaction) -> int:
    """How many tasks would end, with their parts."""
    query = sa.select(sa.func.count()).select_from(tasks)
    return int(tx.execute(query.where(tasks.c.state != TaskState.DONE)).scalar_one())


def disown(tx: Transaction, file: Path | None, who: str) -> Disowned:
    """Make this store an installation of its own, and leave to the original what is the
    original's. Whoever worked here according to the rows works there.

    `file` as for `epoch.begin`, which this does too.
    """
    was = tx.execute(sa.select(installation.c.id)).scalar_one()
    fresh = new_id()
    count = _end_all(tx, was, who)
    _leave_effects(tx)
    for table in (locks, lock_queue, leases, sweeps):
        tx.execute(sa.delete(table))
    tx.execute(
        sa.update(workers).where(workers.c.state.in_(ALIVE)).values(state="gone")
    )
    _leave_orphans(tx, was)
    tx.execute(sa.update(installation).values(id=fresh))
    journal.note(tx, who, "copied", None, was=was, now=fresh, tasks=count)
    heard = epoch.begin(tx, file, f"{who} said that this is a copy of {was}")
    return Disowned(fresh, was, count, heard)


def _end_all(tx: Transaction, was: str, who: str) -> int:
    text = (
        f"This database is a copy. Installation {was}, the original, goes on with this "
        "task; here nothing more of it is sent, and nothing is taken back."
    )
    query = sa.select(tasks.c.id).where(tasks.c.state != TaskState.DONE)
    every = list(tx.execute(query.order_by(tasks.c.id)).scalars())
    for start in range(0, len(every), _CHUNK):
        ids = every[start : start + _CHUNK]
        ended = tx.execute(
            sa.update(tasks)
            .where(tasks.c.id.in_(ids))
            .values(
                state=TaskState.DONE,
                outcome=Outcome.INTERRUPTED,
                message=text,
                error={"code": CODE, "message": text},
                stop_requested=True,
                pending=0,
                deadline_at=None,
                finished_at=tx.now,
                updated_at=tx.now,
                version=tasks.c.version + 1,
                log_lines=tasks.c.log_lines + 1,
            )
            .returning(tasks.c.id, tasks.c.log_lines)
        )
        numbers = {row.id: row.log_lines for row in ended}
        journal.log_many(tx, numbers, f"Ended {Outcome.INTERRUPTED}: {text}", "warning")
        journal.note_many(tx, who, "settle", ids, outcome=Outcome.INTERRUPTED)
        secrets.delete_of_tasks(tx, ids)
        notifications.ended(tx, ids)
    tx.wake(Topic.CHANGES)
    return len(every)


def _leave_effects(tx: Transaction) -> None:
    """Neither sent, polled, looked for nor watched for from here any more."""
    elsewhere = PlaceholderState.ELSEWHERE
    tx.execute(
        sa.update(placeholders)
        .where(placeholders.c.state.in_(sources(PLACEHOLDER_MOVES, elsewhere)))
        .values(
            state=elsewhere,
            next_check_at=None,
            resend=False,
            decision=None,
            version=placeholders.c.version + 1,
            updated_at=tx.now,
        )
    )
    tx.execute(sa.update(sends).where(sends.c.over_at.is_(None)).values(over_at=tx.now))


def _leave_orphans(tx: Transaction, was: str) -> None:
    """Its mark is the original's, so no sweep from here sees them as ours any more."""
    text = (
        f"It carries the mark of installation {was}, which this database is a copy of: "
        "there it is decided about. Before: "
    )
    tx.execute(
        sa.update(orphans)
        .where(orphans.c.state == OrphanState.OPEN)
        .values(
            state=OrphanState.GONE,
            story=sa.literal(text) + orphans.c.story,
            decided_at=tx.now,
        )
    )
