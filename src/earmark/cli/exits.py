"""Exit codes, a contract with scripts: the one place that maps ends and errors to
them."""

from enum import IntEnum

from earmark.domain.errors import (
    BadInput,
    CommitUnknown,
    EarmarkError,
    RegistrationRefused,
    Unavailable,
)
from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import TaskFace


class Exit(IntEnum):
    """Every exit code."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    NEEDS_A_PERSON = 4
    UNREACHABLE = 69
    BUG = 70
    TIMED_OUT = 124
    INTERRUPTED = 130


_OUTCOMES = {
    Outcome.OK: Exit.OK,
    Outcome.WARNED: Exit.OK,
    Outcome.FAILED: Exit.FAILED,
    Outcome.EXPIRED: Exit.FAILED,
    Outcome.CANCELLED: Exit.CANCELLED,
    Outcome.INTERRUPTED: Exit.NEEDS_A_PERSON,
}

_ERRORS: tuple[tuple[type[EarmarkError], Exit], ...] = (
    (BadInput, Exit.USAGE),
    (RegistrationRefused, Exit.USAGE),
    (Unavailable, Exit.UNREACHABLE),
    (CommitUnknown, Exit.UNREACHABLE),
)


def of_wait(task: TaskFace, held: TaskFace | None) -> Exit:
    """How a wait ended: `held` is the task, or a part of it, that needs a person."""
    if task.outcome is not None:
        return _OUTCOMES[task.outcome]
    if held is not None or task.state is TaskState.HELD:
        return Exit.NEEDS_A_PERSON
    return Exit.TIMED_OUT


def of_error(error: EarmarkError) -> Exit:
    """The code for an error that Earmark raised on purpose; a refusal is a 1."""
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), Exit(1))
