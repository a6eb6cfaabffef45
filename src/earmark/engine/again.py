"""Again: a definite failure is tried once more, as the command's policy says. Doubt is
never tried again, it is found out; and a person's retry is a new task (`retry.py`)."""

import random

from earmark.domain.command import Command, ExternalJob, Retry
from earmark.domain.ids import derived_id
from earmark.domain.task import Placeholder, Task
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction

#: What a new promise has in common with the one that it replaces.
_KEPT = (
    "task_id",
    "root_id",
    "provider_id",
    "operation",
    "effect",
    "stoppable",
    "undoable",
)


def worth_it(task: Task, command: Command[object], code: str) -> bool:
    """True when the policy names this failure, and it has not been tried enough."""
    wanted = code in command.retry.on and not task.stop_requested
    return wanted and tries_of(task) < command.retry.attempts


def try_later(
    tx: Transaction, task: Task, policy: Retry, why: str, tries: int | None = None
) -> Task:
    """Queue a task once more, after the pause that its policy says for so many `tries`;
    by default, those that came past their plan."""
    luck = random.random()  # noqa: S311 - not a secret
    pause = policy.pause(tries_of(task) if tries is None else tries, luck)
    return tasks.queue(
        tx,
        task,
        message=f"{why} Will try again.",
        run_after=tx.now + pause,
        deadline_at=None,
    )


def promise_again(
    tx: Transaction,
    task: Task,
    failed: Placeholder,
    command: ExternalJob[object],
    code: str,
    why: str,
) -> bool:
    """After a definite failure, promise the effect anew: a new placeholder with a token
    of its own, which names the one that it replaces. False when that is not wanted."""
    if not worth_it(task, command, code):
        return False
    token = promise_anew(tx, failed)
    journal.log(tx, task.id, f"{why} Will try again, as {token}.", "warning")
    try_later(tx, task, command.retry, why)
    return True


def promise_anew(tx: Transaction, failed: Placeholder) -> str:
    """A new placeholder for what has failed for good; returns its token."""
    row = {name: getattr(failed, name) for name in _KEPT}
    token = derived_id(failed.id, "again")
    placeholders.insert(tx, [row | {"id": token, "replaces_id": failed.id}])
    return token


def tries_of(task: Task) -> int:
    """How often it was really tried: not when it only came to queue for its locks, nor
    when its worker was lost."""
    return max(task.tries - task.recoveries, 1)
