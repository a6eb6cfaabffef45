"""Exit codes are a contract: every outcome and every error has its own."""

from dataclasses import fields
from typing import Any

import pytest

from earmark.cli import exits
from earmark.domain import errors
from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import TaskFace


def task(**facts: Any) -> TaskFace:
    known: dict[str, Any] = dict.fromkeys(field.name for field in fields(TaskFace))
    return TaskFace(**(known | {"state": TaskState.DONE} | facts))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("ok", 0),
        ("warned", 0),
        ("failed", 1),
        ("expired", 1),
        ("cancelled", 3),
        ("interrupted", 4),
    ],
)
def test_every_outcome_has_its_code(outcome: str, code: int) -> None:
    assert exits.of_wait(task(outcome=Outcome(outcome)), None) == code


def test_what_is_not_over_is_held_or_timed_out() -> None:
    waiting = task(state=TaskState.WAITING)
    assert exits.of_wait(waiting, None) == 124
    assert exits.of_wait(waiting, task(state=TaskState.HELD)) == 4
    assert exits.of_wait(task(state=TaskState.HELD), None) == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInput, 2),
        (errors.UnknownName, 2),
        (errors.NameTaken, 2),
        (errors.KeyReused, 2),
        (errors.RegistrationRefused, 2),
        (errors.Rejected, 1),
        (errors.Locked, 1),
        (errors.Stale, 1),
        (errors.Unavailable, 69),
        (errors.SchemaMismatch, 69),
        (errors.CommitUnknown, 69),
    ],
)
def test_every_error_has_its_code(error: type[errors.EarmarkError], code: int) -> None:
    assert exits.of_error(error("words")) == code
