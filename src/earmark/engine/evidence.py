"""Evidence: what is known of a task that a person must decide about; only read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import BadInput
from earmark.domain.states import TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.resolve import Choice, choices
from earmark.store import placeholders, tasks
from earmark.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Case:
    """A task with its newest effect, everything seen of that, and what can be decided
    about it. A root whose undo cannot be planned has no effect to show. `handle`: the
    provider's name for it, if an answer or a look gave one."""

    task: Task
    effect: Placeholder | None
    seen: Sequence[sa.Row[Any]]
    choices: tuple[Choice, ...]
    handle: str | None


def held_parts(tx: Transaction, task: Task) -> list[Task]:
    """The task itself if it is held, otherwise its root's descendants that are."""
    if task.state is TaskState.HELD:
        return [task]
    if not task.is_root or task.done:
        return []
    below = tasks.descendants(tx, task.id)
    return [part for part in below if part.state is TaskState.HELD]


def decidable(tx: Transaction, task: Task) -> list[Task]:
    """What somebody must decide about: the task's held parts. Where there are none, the
    steps of its undo about which a person can decide while they wait."""
    held = held_parts(tx, task)
    if held or task.done:
        return held
    family = [task, *tasks.children(tx, task.id)] if task.is_root else [task]
    steps = [part for part in family if part.undoes_id is not None]
    effects = placeholders.of_tasks(tx, [step.id for step in steps])
    return [step for step in steps if choices(step, effects.get(step.id))]


def meant(tx: Transaction, task: Task) -> Task:
    """The task that a decision is about: for a root, the one part of it that somebody
    must decide about, or can.

    Raises `BadInput`, which names them, when there are several.
    """
    parts = decidable(tx, task)
    if len(parts) > 1:
        held = parts[0].state is TaskState.HELD
        named = "; ".join(f"{part.id} ({part.title})" for part in parts)
        raise BadInput(
            f"{len(parts)} {'parts' if held else 'steps back'} of “{task.title}” "
            f"{'are held' if held else 'wait'}.",
            hint=f"Decide about one at a time: {named}.",
        )
    return parts[0] if parts else task


def case(tx: Transaction, task: Task) -> Case | None:
    """What is known of a task about which a person can decide; None of any other."""
    held = task.state is TaskState.HELD
    if not held and task.undoes_id is None:
        return None
    effect = placeholders.of_task(tx, task.id)
    open_to = choices(task, effect)
    if not held and not open_to:
        return None
    if effect is None:
        return Case(task, None, (), open_to, None)
    seen = placeholders.evidence_of(tx, effect.id)
    named = [piece.external_id for piece in seen if piece.external_id]
    handle = effect.external_id or (named[-1] if named else None)
    return Case(task, effect, seen, open_to, handle)
