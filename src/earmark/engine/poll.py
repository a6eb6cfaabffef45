"""Poll: follow jobs to their real end, and probe what is in doubt.

One poller at a time per provider (a lease), which asks once for many jobs. It holds no
transaction while it asks, and every write is fenced, so that two pollers, or a late
one, only waste calls. "Accepted" is not "done", and "not found" is not "failed". What
one effect's author gets wrong stands in no other's way.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.command import ExternalJob
from earmark.domain.connector import EffectClass
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    JobUnknown,
    Stale,
    Unavailable,
)
from earmark.domain.outcome import Done, Failed, Found, Job, Progress, Running
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.ask_to_stop import ask_to_stop, wants_stop
from earmark.engine.authored import clean, in_ctx, in_tx
from earmark.engine.boundary import boundary
from earmark.engine.confirm import confirm
from earmark.engine.due import Check, due, failed_to_ask, postpone
from earmark.engine.enqueue import open_tx
from earmark.engine.look import look_for
from earmark.engine.probe import conclude
from earmark.engine.runtime import Engine
from earmark.engine.settle import settle_job, told
from earmark.engine.wake import roll_up
from earmark.store import journal, placeholders, sends, tasks
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as table

CALL_SECONDS = 30.0

Answer = Progress | Exception


def check_provider(engine: Engine, provider_id: str) -> int:
    """Poll and probe what is due at a provider; returns how many were looked at."""
    bound = due(engine, provider_id, PlaceholderState.BOUND)
    deadline = Deadline(CALL_SECONDS)
    for check in bound:
        if wants_stop(check) and not deadline.passed():
            _attempt(check, lambda c=check: ask_to_stop(c, deadline))
    unchanged = []
    for check, answer in _poll(bound, Deadline(CALL_SECONDS)):
        if _says_nothing_new(check, answer):
            unchanged.append(check)
        else:
            _attempt(check, lambda c=check, a=answer: _note(c, a))
    postpone(engine, unchanged)
    doubtful = due(engine, provider_id, PlaceholderState.IN_DOUBT)
    doubtful += due(engine, provider_id, PlaceholderState.HELD)
    for check, seen in look_for(doubtful, Deadline(CALL_SECONDS)):
        _attempt(check, lambda c=check, s=seen: _conclude(c, s))
    return len(bound) + len(doubtful)


def _conclude(check: Check, seen: Sequence[Found] | Exception) -> None:
    if isinstance(seen, Exception):
        failed_to_ask(check, seen)
    elif check.effect.state is PlaceholderState.HELD:
        confirm(check, seen)
    else:
        conclude(check, seen)


def _attempt(check: Check, step: Any) -> None:
    """Do one effect's step; whatever its author's code raises is that effect's error
    (rule 13), and somebody else's newer word wins silently."""
    try:
        step()
    except Stale:
        return
    except (Unavailable, CommitUnknown):
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        with suppress(Stale):
            failed_to_ask(check, error)


def _poll(
    checks: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Answer]]:
    by_command: dict[type[ExternalJob[Any]], list[Check]] = defaultdict(list)
    for check in checks:
        by_command[type(check.command)].append(check)
    for command, group in by_command.items():
        if deadline.passed():
            return
        if command.poll_many.__func__ is ExternalJob.poll_many.__func__:  # type: ignore[attr-defined]
            yield from _one_by_one(group, deadline)
            continue
        try:
            answers = _ask_for_many(command, group, deadline)
        except Exception as error:  # noqa: BLE001 - nothing is concluded from it
            yield from ((check, error) for check in group)
            continue
        boundary("poll.answered")
        missing = JobUnknown("The provider does not know this job.")
        yield from ((c, answers.get(c.effect.id, missing)) for c in group)


def _one_by_one(
    group: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Answer]]:
    for check in group:
        if deadline.passed():
            return
        try:
            job = check.effect.external_id or ""
            ctx = check.ctx(deadline)
            answer: Answer = in_ctx(lambda: check.command.poll(ctx, job))  # noqa: B023
        except Exception as error:  # noqa: BLE001 - nothing is concluded from it
            answer = error
        boundary("poll.answered")
        yield check, answer


def _ask_for_many(
    command: type[ExternalJob[Any]], group: Sequence[Check], deadline: Deadline
) -> Mapping[str, Answer]:
    jobs = {check.effect.id: _job(check.effect) for check in group}
    ctx = group[0].ctx(deadline)
    answers: Any = in_ctx(lambda: command.poll_many(ctx, jobs))
    if not isinstance(answers, Mapping):
        text = f"{command.__name__}.poll_many returned {answers!r}."
        raise EarmarkError(text, code="nonsense")
    return answers


def _job(effect: Placeholder) -> Job:
    assert effect.external_id is not None
    assert effect.first_sent_at is not None
    return Job(effect.external_id, effect.first_sent_at)


def _says_nothing_new(check: Check, answer: Answer) -> bool:
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


def _note(check: Check, answer: Answer) -> None:
    """Write what a poll said."""
    engine, effect = check.engine, check.effect
    match answer:
        case Running() if _sane(answer):
            engine.write(lambda tx: _progress(tx, check, answer))
        case Done():
            until = _may_land_until(check)
            if until is None:
                settle_job(engine, effect, check.command, answer)
            else:
                engine.write(lambda tx: _keep_lock(tx, check, answer, until))
        case Failed():
            settle_job(engine, effect, check.command, answer)
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


def _may_land_until(check: Check) -> datetime | None:
    """An absolute request that was never answered may land after the state was
    reached, and take it back: until it cannot, its lock stays (rule 12)."""
    if check.operation.effect is not EffectClass.ABSOLUTE:
        return None

    def work(tx: Transaction) -> datetime | None:
        made = sends.of_placeholder(tx, check.effect.id)
        landed = sends.landed_by(made, check.operation.max_in_flight)
        if landed is None:
            return tx.now + timedelta(seconds=check.operation.poll_seconds)
        return landed if landed > tx.now else None

    return check.engine.read(work)


def _keep_lock(
    tx: Transaction, check: Check, reached: Done[Any], until: datetime
) -> None:
    task = tasks.lock_family(tx, check.task.id)
    pause = timedelta(seconds=check.operation.poll_seconds)
    later = max(min(until, tx.now + timedelta(seconds=30)), tx.now + pause)
    placeholders.change(tx, check.effect, next_check_at=later, checks=0, errors=0)
    text = (
        "Reached; an earlier request without an answer may still arrive, so it waits."
    )
    if task.message != text:
        journal.log(tx, task.id, text)
        task = tasks.change(tx, task, message=text, progress=99)
        author = open_tx(check.engine, tx, task)
        seen = Running(99, text, observed=reached.result)
        in_tx(lambda: check.command.progressed(author, seen))


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
