"""Wake: a task ends, and who waited for it goes on, in the same transaction.

A parent is woken in its last child's transaction (invariant 6). The first failure
fixes the parent's verdict and drops what is still only planned (rule 8); the parent
itself ends when nothing sent is open any more (invariant 3). Browsers and scripts are
told after the commit, by the store.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    Outcome,
    PlaceholderState,
    Step,
    TaskState,
)
from earmark.domain.task import Task
from earmark.engine.authored import clean
from earmark.store import inventory, journal, locks, placeholders, secrets, tasks
from earmark.store.database import Transaction

_LEVELS = {Outcome.OK: "info", Outcome.WARNED: "warning"}


@dataclass(frozen=True, slots=True)
class End:
    """How a task ends: outcome, a line for people, and a result or an error."""

    outcome: Outcome
    message: str = ""
    result: Any = None
    error: dict[str, Any] | None = field(default=None)

    @classmethod
    def failed(cls, message: str, code: str = "failed", **more: Any) -> "End":
        """A failure, with the code that programs look at."""
        error = {"code": code, "message": message} | more
        return cls(Outcome.FAILED, message, error=error)


def end(tx: Transaction, task: Task, how: End) -> Task:
    """End a task whose family is locked, and wake who waited for it."""
    effect = placeholders.of_task(tx, task.id)
    if effect is not None and effect.state in OPEN_AT_PROVIDER:
        raise AssertionError(f"{task.id} cannot end: its effect is {effect.state}")
    ended = tasks.move(
        tx,
        task,
        TaskState.DONE,
        outcome=how.outcome,
        progress=100 if how.outcome.good else task.progress,
        message=clean(how.message),
        result=how.result,
        error=how.error,
    )
    words = f"Ended {how.outcome}" + (f": {how.message}" if how.message else ".")
    journal.log(tx, task.id, words, _LEVELS.get(how.outcome, "error"))
    journal.note(tx, f"worker:{task.worker_id}", "settle", task.id, outcome=how.outcome)
    secrets.delete_of_task(tx, task.id)
    if ended.parent_id is None:
        locks.release(tx, ended.id)
    else:
        _tell_parent(tx, ended, ended.parent_id)
    return ended


def roll_up(tx: Transaction, task: Task) -> None:
    """Carry progress up to the root: each parent shows its children's by weight."""
    above = task.parent_id
    while above is not None:
        share = tasks.shared_progress(tx, above)
        parent = tasks.get(tx, above)
        if parent.progress != share and not parent.done:
            tasks.change(tx, parent, progress=share)
        above = parent.parent_id


def _tell_parent(tx: Transaction, ended: Task, parent_id: str) -> None:
    good = ended.outcome is not None and ended.outcome.good
    roll_up(tx, ended)
    if good:
        for waiting in tasks.needing(tx, ended.id):
            if waiting.state is TaskState.WAITING:
                left = tasks.count_down(tx, waiting.id)
                if left == 0:
                    tasks.move(tx, waiting, TaskState.QUEUED)
    else:
        _fix_verdict(tx, tasks.get(tx, parent_id), ended)
    if tasks.count_down(tx, parent_id) == 0:
        _all_ended(tx, tasks.get(tx, parent_id))


def _fix_verdict(tx: Transaction, parent: Task, culprit: Task) -> None:
    if parent.verdict is not None:
        return
    error = culprit.error or {"code": culprit.outcome, "message": culprit.message}
    tasks.change(tx, parent, verdict=Outcome.FAILED, error=error)
    reason = f"“{culprit.title}” ended {culprit.outcome}: {culprit.message}"
    journal.log(tx, parent.id, reason, "error")
    siblings = [child.id for child in tasks.children(tx, parent.id)]
    # Locked first, read then: a claim that came in between is seen (rule 10).
    for sibling in tasks.lock(tx, siblings).values():
        if sibling.id != culprit.id:
            drop(tx, sibling, f"Not started: {reason}")


def drop(tx: Transaction, task: Task, why: str) -> None:
    """End what was never sent; ask what is under way to stop when it can."""
    if task.done:
        return
    effect = placeholders.of_task(tx, task.id)
    grandchildren = [child.id for child in tasks.children(tx, task.id)]
    if effect is not None and effect.state in OPEN_AT_PROVIDER:
        # It is followed to its end, but not sent again.
        tasks.change(tx, task, stop_requested=True)
    elif grandchildren:
        tasks.change(tx, task, verdict=Outcome.CANCELLED, stop_requested=True)
        for child in tasks.lock(tx, grandchildren).values():
            drop(tx, child, why)
    elif task.state is TaskState.RUNNING:
        tasks.change(tx, task, stop_requested=True)
    elif task.state in (TaskState.QUEUED, TaskState.WAITING):
        if effect is not None and effect.state is PlaceholderState.PLANNED:
            placeholders.move(tx, effect, PlaceholderState.DROPPED)
        end(tx, task, End(Outcome.CANCELLED, why))


def _all_ended(tx: Transaction, parent: Task) -> None:
    """The last child has ended: finish, or end with the verdict that stands."""
    if parent.verdict is None:
        tasks.move(tx, parent, TaskState.QUEUED, step=Step.FINISH)
        return
    culprit = parent.error or {"code": str(parent.verdict), "message": ""}
    code, message = str(culprit["code"]), str(culprit["message"])
    known = culprit.get("left_behind", ())
    end(tx, parent, failed_with(tx, parent, message, code, parent.verdict, known))


def failed_with(
    tx: Transaction,
    task: Task,
    message: str,
    code: str,
    outcome: Outcome = Outcome.FAILED,
    known: Iterable[str] = (),
) -> End:
    """A bad end that names what is left behind at providers (rule 8)."""
    left = list(dict.fromkeys([*known, *left_behind(tx, task)]))
    error: dict[str, Any] = {"code": code, "message": message}
    if left:
        error["left_behind"] = left
        message += f" Left behind: {'; '.join(left)}."
    return End(outcome, message, error=error)


def left_behind(tx: Transaction, parent: Task) -> Iterator[str]:
    """What the children have left at providers, one line each: every effect that was
    accepted and has ended, unless the provider itself said that it failed."""
    for child in tasks.children(tx, parent.id):
        effect = placeholders.of_task(tx, child.id)
        if effect is None:
            yield from left_behind(tx, child)
        elif effect.state is PlaceholderState.SETTLED and effect.result is not None:
            where = inventory.name_of(tx, "provider", effect.provider_id)
            what = effect.result if isinstance(effect.result, str) else ""
            yield f"{what or effect.external_id} at {where} (“{child.title}”)"
