"""Look: ask the provider about effects in doubt, many at once where that can be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from earmark.domain.command import Doubt, ExternalJob
from earmark.domain.deadline import Deadline
from earmark.domain.errors import EarmarkError
from earmark.domain.mark import Mark
from earmark.domain.outcome import Done, Found
from earmark.engine.asking import NothingToDo, reached
from earmark.engine.authored import in_ctx, overrides
from earmark.engine.boundary import boundary
from earmark.engine.due import Check, by_command
from earmark.store import sends
from earmark.store.database import Transaction

Seen = Sequence[Found] | Done[Any] | Exception


def look_for(
    checks: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Seen]]:
    """What `find` sees of each, or why it could not be asked; or the end that an effect
    without a request has come to. What there is no time for stays due: the next look
    begins with it."""
    for command, group in by_command(checks).items():
        many = overrides(command, "find_many")
        together = [check for check in group if many and check.knows_request]
        alone = [check for check in group if not (many and check.knows_request)]
        if together and not deadline.passed():
            yield from _many(command, together, deadline)
        yield from _one_by_one(alone, deadline)


def _one_by_one(
    group: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Seen]]:
    for check in group:
        if deadline.passed():
            return
        _before([check])
        try:
            seen: Seen = _sound(check, _found(check, deadline))
        except NothingToDo as error:
            seen = reached(error, check.effect, check.operation)
        except Exception as error:  # noqa: BLE001 - nothing is concluded from it
            seen = error
        boundary("probe.answered")
        yield check, seen


def _many(
    command: type[ExternalJob[Any]], group: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Seen]]:
    _before(group)
    doubts = [_doubt(check) for check in group]
    ctx = group[0].ctx(deadline)
    try:
        answers: Any = in_ctx(lambda: command.find_many(ctx, doubts))
        if not isinstance(answers, Mapping):
            raise _nonsense(f"{command.__name__}.find_many returned {answers!r}.")
    except Exception as error:  # noqa: BLE001 - nothing is concluded from it
        yield from ((check, error) for check in group)
        return
    boundary("probe.answered")
    for check in group:
        token = check.effect.id
        try:
            if token not in answers:
                raise _nonsense(f"{command.__name__}.find_many said nothing about it.")
            seen: Seen = _sound(check, _as_list(answers[token]))
        except Exception as error:  # noqa: BLE001 - this one's, and no other's
            seen = error
        yield check, seen


def _found(check: Check, deadline: Deadline) -> list[Found]:
    ctx = check.ctx(deadline)
    return in_ctx(lambda: list(check.command.find(ctx)))


def _as_list(answer: Iterable[Found]) -> list[Found]:
    return in_ctx(lambda: list(answer))  # the author's iterator may raise anything


def _sound(check: Check, candidates: list[Found]) -> list[Found]:
    """What can be judged and followed, with the token as mark where it shows our whole
    mark; raises `EarmarkError` for anything else."""
    for found in candidates:
        if not isinstance(found, Found) or not found.sound:
            raise _nonsense(f"`find` returned {found!r} among the found.")
    token = check.effect.id
    whole = str(Mark(check.engine.installation, token))
    return [replace(it, mark=token) if it.mark == whole else it for it in candidates]


def _nonsense(text: str) -> EarmarkError:
    return EarmarkError(text, code="nonsense")


def _before(checks: Sequence[Check]) -> None:
    """Note what is known before the look: a request that is not shown may land while
    the look lasts, and be answered. "It can no longer arrive" must have been true when
    the look began (invariant 4)."""

    def note(tx: Transaction) -> None:
        made = sends.of_placeholders(tx, [check.effect.id for check in checks])
        for check in checks:
            check.made = made[check.effect.id]
            check.asked_at = tx.now

    checks[0].engine.read(note)


def _doubt(check: Check) -> Doubt:
    effect = check.effect
    assert effect.first_sent_at is not None, "in doubt only after it was sent"
    return Doubt(effect.id, check.command, effect.request, effect.first_sent_at)
