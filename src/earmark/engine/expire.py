"""Expire: deadlines of whole tasks. A deadline changes who is asked, and never invents
an outcome (invariant 7)."""

from contextlib import suppress
from datetime import datetime
from functools import partial

from earmark.domain.errors import Rejected, Stale
from earmark.domain.states import Outcome
from earmark.domain.task import Task
from earmark.engine.cancel import request_stop
from earmark.engine.end import DEADLINE, End
from earmark.engine.runtime import Engine
from earmark.engine.wake import drop
from earmark.store import placeholders, tasks
from earmark.store.database import Transaction


def expire(engine: Engine) -> int:
    """End what was not started in time; ask what runs too long to stop. Returns how
    many tasks that were."""
    unstarted, overlong = engine.read(lambda tx: tasks.past_deadlines(tx, tx.now))
    for task in unstarted:
        with suppress(Stale):
            engine.write(partial(_not_started, seen=task))
    for task in overlong:
        with suppress(Rejected):  # it ended meanwhile
            engine.write(partial(_too_long, seen=task))
    return len(unstarted) + len(overlong)


def _not_started(tx: Transaction, seen: Task) -> None:
    task = tasks.lock_family(tx, seen.id)
    if task.state is not seen.state or task.started_at is not None:
        return
    if task.restored:
        return  # it may have been started, and sent, after the copy was taken
    text = f"Nobody had started it by {_clock(seen.start_by)}; nothing was sent."
    how = End(Outcome.EXPIRED, text, error={"code": "not-started", "message": text})
    drop(tx, task, placeholders.of_task(tx, task.id), how)


def _too_long(tx: Transaction, seen: Task) -> None:
    why = f"It had not ended by {_clock(seen.end_by)}."
    request_stop(tx, seen, DEADLINE, why)


def _clock(at: datetime | None) -> str:
    assert at is not None
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
