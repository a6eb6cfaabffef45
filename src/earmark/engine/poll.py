"""Poll: follow jobs to their real end, and probe what is in doubt.

One poller at a time per provider (a lease), which asks once for many jobs. It holds no
transaction while it asks, and every write is fenced, so that two pollers, or a late
one, only waste calls. "Accepted" is not "done", and "not found" is not "failed". What
one effect's author gets wrong stands in no other's way.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    JobUnknown,
    Stale,
    Unavailable,
)
from earmark.domain.outcome import Done, Job
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.engine.ask_to_stop import ask_to_stop, wants_stop
from earmark.engine.asking import NothingToDo, reached
from earmark.engine.authored import in_ctx, overrides
from earmark.engine.boundary import boundary
from earmark.engine.confirm import confirm
from earmark.engine.due import (
    Check,
    alone,
    by_command,
    due,
    failed_to_ask,
    postpone,
)
from earmark.engine.look import Seen, look_for
from earmark.engine.note import Answer, note, says_nothing_new
from earmark.engine.probe import conclude
from earmark.engine.runtime import Engine

CALL_SECONDS = 30.0


def check_provider(engine: Engine, provider_id: str) -> int:
    """Poll and probe what is due at a provider; returns how many were looked at."""
    bound = due(engine, provider_id, PlaceholderState.BOUND)
    deadline = Deadline(CALL_SECONDS)
    for check in bound:
        if wants_stop(check) and not deadline.passed():
            _attempt(check, lambda c=check: ask_to_stop(c, deadline))
    unchanged = []
    for check, answer in _poll(bound, Deadline(CALL_SECONDS)):
        if says_nothing_new(check, answer):
            unchanged.append(check)
        else:
            _attempt(check, lambda c=check, a=answer: note(c, a))
    postpone(engine, unchanged)
    doubtful = due(engine, provider_id, PlaceholderState.IN_DOUBT)
    doubtful += due(engine, provider_id, PlaceholderState.HELD)
    for check, seen in look_for(doubtful, Deadline(CALL_SECONDS)):
        _attempt(check, lambda c=check, s=seen: _conclude(c, s))
    return len(bound) + len(doubtful)


def _conclude(check: Check, seen: Seen) -> None:
    if isinstance(seen, Exception):
        failed_to_ask(check, seen)
    elif isinstance(seen, Done):
        note(check, seen)
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
        alone(check.effect, partial(failed_to_ask, check, error))


def _poll(
    checks: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Answer]]:
    for command, group in by_command(checks).items():
        if deadline.passed():
            return
        if not overrides(command, "poll_many"):
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
            answer: Answer = in_ctx(partial(check.command.poll, ctx, job))
        except NothingToDo as error:
            answer = reached(error, check.effect, check.operation)
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
