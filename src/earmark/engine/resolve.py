"""Resolve: a person decides what nobody could find out, with the evidence at hand."""

from dataclasses import dataclass
from enum import StrEnum

from earmark.domain.task import Placeholder, Task
from earmark.engine.runtime import Engine


class Decision(StrEnum):
    """What a person can decide about a held effect."""

    ADOPT = "adopt"
    ABSENT = "absent"
    SEND_AGAIN = "send-again"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what it is called, and what pressing it does."""

    decision: Decision
    label: str
    text: str


def choices(effect: Placeholder) -> tuple[Choice, ...]:
    """What can be decided about an effect now; none unless it is held."""
    raise NotImplementedError


def resolve(
    engine: Engine,
    task_id: str,
    decision: Decision,
    who: str,
    *,
    external_id: str | None = None,
) -> Task:
    """Carry out a person's decision about a held task; returns it as it is then.

    `external_id` is the provider's handle to adopt, for that decision alone. Raises
    `BadInput` without it, `Rejected` when the task is not held or the handle is another
    task's.
    """
    raise NotImplementedError
