"""Note: what a poll said of a job is written down. "Accepted" is not "done", and "not
found" is not "failed"."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.connector import EffectClass
from earmark.domain.errors import EarmarkError, JobUnknown
from earmark.domain.outcome import Done, Failed, Progress, Running
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Task
from earmark.engine import landing
from earmark.engine.authored import clean, in_tx
from earmark.engine.due import Check, failed_to_ask
from earmark.engine.enqueue import open_tx
from earmark.engine.settle import settle_job
from earmark.engine.told import told
from earmark.engine.wake import roll_up
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as table

Answer = Progress | Exception


def says_nothing_new(check: Check, answer: Answer) -> bool:
    """True when all that is to be written is when to ask next."""
    if not isinstance(answer, Running) or check.effect.checks:
        return False
    if check.effect.doubt_since is not None or not _sane(answer):
        return False
    return _shown(check.task, answer) == (check.task.progress, check.task.message)


def _sane(running: Running) -> bool:
    whole = running.percent is None or isinstance(running.percent, int)
    return whole and isinstance(running.message, str)


def _shown(task: Task, running: Running) -> tuple[int, str]:
    """What a task shows of a running job: never 100 before the end."""
    percent = task.progress if running.percent is None else running.percent
    return max(0, min(99, percent)), clean(running.message)


def note(check: Check, answer: Answer) -> None:
    """Write what a poll said."""
    engine, effect = check.engine, check.effect
    match answer:
        case Running() if _sane(answer):
            engine.write(lambda tx: _progress(tx, check, answer))
        case Done() | Failed():
            until = may_land_until(check)
            if until is None:
                settle_job(engine, effect, check.command, answer)
            else:
                engine.write(lambda tx: _keep_lock(tx, check, answer, until))
        case JobUnknown():
            engine.write(lambda tx: _lost(tx, check, answer))
        case Exception():
            failed_to_ask(check, answer)
        case _:
            text = f"{type(check.command).__name__}.poll returned {answer!r}."
            failed_to_ask(check, EarmarkError(text, code="nonsense"))


def _progress(tx: Transaction, check: Check, running: Running) -> None:
    task = tasks.lock_family(tx, check.task.id)
    pause = timedelta(seconds=check.operation.poll_seconds)
    placeholders.change(
        tx,
        check.effect,
        next_check_at=tx.now + pause,
        doubt_since=None,
        checks=0,
        errors=0,
    )
    percent, message = _shown(task, running)
    if (percent, message) != (task.progress, task.message):
        task = tasks.change(tx, task, progress=percent, message=message)
        roll_up(tx, task)
        author = open_tx(check.engine, tx, task)
        in_tx(lambda: check.command.progressed(author, running))


def may_land_until(check: Check) -> datetime | None:
    """An absolute request that was never answered may land after the state was
    reached, and take it back, or after it was said that it never will be: until it
    cannot, its lock stays (rule 12)."""
    if check.operation.effect is not EffectClass.ABSOLUTE:
        return None
    return check.engine.read(
        lambda tx: landing.may_land_until(tx, check.effect, check.operation)
    )


def _keep_lock(
    tx: Transaction, check: Check, seen: Done[Any] | Failed, until: datetime
) -> None:
    task = tasks.lock_family(tx, check.task.id)
    pause = timedelta(seconds=check.operation.poll_seconds)
    later = max(min(until, tx.now + timedelta(seconds=30)), tx.now + pause)
    placeholders.change(tx, check.effect, next_check_at=later, checks=0, errors=0)
    so_far = "Reached" if isinstance(seen, Done) else "Not reached"
    text = (
        f"{so_far}; an earlier request without an answer may still arrive, so it waits."
    )
    if task.message == text:
        return
    journal.log(tx, task.id, text)
    if isinstance(seen, Failed):
        tasks.change(tx, task, message=text)
        return
    task = tasks.change(tx, task, message=text, progress=99)
    author = open_tx(check.engine, tx, task)
    running = Running(99, text, observed=seen.result)
    in_tx(lambda: check.command.progressed(author, running))


def _lost(tx: Transaction, check: Check, error: JobUnknown) -> None:
    """The provider does not know the job: look for its effect, conclude nothing."""
    task = tasks.lock_family(tx, check.task.id)
    placeholders.move(
        tx,
        check.effect,
        PlaceholderState.IN_DOUBT,
        doubt_since=sa.func.coalesce(table.c.doubt_since, tx.now),
        next_check_at=tx.now,
        checks=0,
        errors=0,
    )
    placeholders.witness(tx, check.effect.id, "lost", told(error))
    journal.log(tx, task.id, f"In doubt: {told(error)}", "warning")
    tasks.change(tx, task, message=told(error))
