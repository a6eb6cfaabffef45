"""Wake: a task ends, and who waited for it goes on, in the same transaction.

A parent is woken in its last child's transaction (invariant 6). The first failure
fixes the parent's verdict and drops what is still only planned (rule 8); the parent
itself ends when nothing sent is open any more (invariant 3). The next in the queue for
a lock is woken in the transaction that lets it go (rule 11). Browsers and scripts are
told after the commit, by the store.
"""

from dataclasses import replace

from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    Outcome,
    PlaceholderState,
    Step,
    TaskState,
)
from earmark.domain.task import Placeholder, Task
from earmark.engine.authored import clean
from earmark.engine.drop_many import drop_many, droppable
from earmark.engine.end import DEADLINE, End
from earmark.engine.left_behind import failed_with
from earmark.engine.not_undone import try_again_or_hold
from earmark.engine.restored import unasked
from earmark.store import journal, locks, notifications, placeholders, secrets, tasks
from earmark.store import undo as undo_rows
from earmark.store.database import Transaction
from earmark.store.wakeups import Topic

#: So many that wait are dropped together.
_MANY = 10


def end(tx: Transaction, task: Task, how: End) -> Task:
    """End a task whose family is locked, and wake who waited for it.

    A root that ends badly first takes back what was done; a step of that is tried again
    or held rather than ended badly (rule 9), unless a person gave it up.
    """
    effect = placeholders.of_task(tx, task.id)
    if effect is not None and effect.state in OPEN_AT_PROVIDER:
        raise AssertionError(f"{task.id} cannot end: its effect is {effect.state}")
    if task.cancelled_by == DEADLINE:
        how = how.out_of_time(sent=placeholders.ever_sent(tx, task))
    how = _by_verdict(task, how)
    if not how.outcome.good:
        if task.undoes_id is not None and not task.stop_requested:
            return try_again_or_hold(tx, task, how)
        not_yet = task.is_root and task.step is not Step.UNDO
        if not_yet and undo_rows.to_undo(tx, task.id):
            return _begin_undo(tx, task, how)
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
    journal.log(tx, task.id, clean(words), how.level(task.cancelled_by))
    journal.note(tx, f"worker:{task.worker_id}", "settle", task.id, outcome=how.outcome)
    secrets.delete_of_task(tx, task.id)
    notifications.ended(tx, [task.id])
    if ended.parent_id is None:
        tasks.wake_waiting(tx, locks.release(tx, ended.id))
    else:
        _tell_parent(tx, ended, ended.parent_id)
    return ended


def _begin_undo(tx: Transaction, root: Task, how: End) -> Task:
    """Queue a root whose verdict has fallen, and whose effects have all ended, for the
    taking back of what was done (rule 8)."""
    error = how.error or {"code": str(how.outcome), "message": how.message}
    values = {
        "step": Step.UNDO,
        "verdict": how.outcome,
        "error": {name: error[name] for name in ("code", "message")},
        "message": clean(f"Being taken back, since: {error['message']}"),
        "tries": 0,
        "recoveries": 0,
        "run_after": tx.now,
        "deadline_at": None,
    }
    words = f"It will end {how.outcome}, and what was done is taken back first."
    journal.log(tx, root.id, words, how.level(root.cancelled_by))
    if root.state is TaskState.QUEUED:
        tx.wake(Topic.QUEUE)
        return tasks.change(tx, root, **values)
    return tasks.move(tx, root, TaskState.QUEUED, **values)


def end_undone(tx: Transaction, root: Task) -> Task:
    """End a root whose undo is over, with its verdict, and with what is left behind."""
    assert root.verdict is not None, "undo comes after the verdict"
    error = root.error or {}
    code, message = str(error.get("code")), str(error.get("message"))
    return end(tx, root, failed_with(tx, root, message, code, root.verdict))


def roll_up(tx: Transaction, task: Task) -> None:
    """Carry progress up to the root: each parent shows its children's by weight."""
    above = task.parent_id
    while above is not None:
        share = tasks.shared_progress(tx, above)
        parent = tasks.get(tx, above)
        if parent.progress != share and not parent.done:
            tasks.change(tx, parent, progress=share)
        above = parent.parent_id


def stop(tx: Transaction, task: Task, why: str, by: str | None = None) -> None:
    """Ask a task whose family is locked to stop, with everything below it.

    What was never sent ends here. What was is followed to its end and not sent again;
    only if somebody (`by`) cancelled it is the provider asked to stop it too.
    """
    if task.done or task.step is Step.UNDO:
        return
    task = tasks.change(
        tx, task, stop_requested=True, cancelled_by=task.cancelled_by or by
    )
    effect = placeholders.of_task(tx, task.id)
    below = [child.id for child in tasks.children(tx, task.id)]
    is_open = effect is not None and effect.state in OPEN_AT_PROVIDER
    if by is not None and task.state is TaskState.WAITING and (is_open or below):
        task = tasks.rest_cancelled(tx, task)
    if is_open:
        placeholders.hurry(tx, task.id)
    elif below:
        _stop_children(tx, task, below, why, by)
    elif task.state in (TaskState.QUEUED, TaskState.WAITING):
        drop(tx, task, effect, End.cancelled(why))


def drop(tx: Transaction, task: Task, effect: Placeholder | None, how: End) -> None:
    """End a task of which nothing was ever sent; its promise goes with it.

    What a person had sent again is as much in doubt as it was before that (invariant
    3), and so is what may have been sent before the store was put back (rule 15): then
    it does not end, and is found out.
    """
    if effect is not None and effect.state is PlaceholderState.PLANNED:
        if effect.doubt_since is not None or unasked(tx, task, effect):
            _back_in_doubt(tx, task, effect, how.message)
            return
        placeholders.move(tx, effect, PlaceholderState.DROPPED)
    end(tx, task, how)


def _back_in_doubt(tx: Transaction, task: Task, effect: Placeholder, why: str) -> None:
    text = f"Not sent again: {why} What became of it before is still open."
    placeholders.move(
        tx,
        effect,
        PlaceholderState.IN_DOUBT,
        next_check_at=tx.now,
        doubt_since=effect.doubt_since or tx.now,
        first_sent_at=effect.first_sent_at or task.created_at,
    )
    placeholders.witness(tx, effect.id, "doubt", text)
    journal.log(tx, task.id, f"In doubt: {text}", "warning")
    waits = task.state in (TaskState.WAITING, TaskState.CANCELLING)
    if waits and (task.cancelled_by is None or task.state is TaskState.CANCELLING):
        tasks.change(tx, task, message=text)
    else:
        tasks.rest(tx, task, message=text)


def fix_verdict(tx: Transaction, parent: Task, culprit: Task) -> None:
    """The first child that ends badly decides how the parent will end; nothing more of
    it is sent."""
    if parent.verdict is not None:
        return
    verdict = Outcome.FAILED
    if parent.cancelled_by is not None:
        verdict = Outcome.CANCELLED
    elif culprit.outcome in (Outcome.CANCELLED, Outcome.INTERRUPTED):
        verdict = culprit.outcome
    # Its code and words alone: what is left behind is said when the root ends.
    its = culprit.error or {"code": culprit.outcome, "message": culprit.message}
    error = {name: its[name] for name in ("code", "message")}
    parent = tasks.change(tx, parent, verdict=verdict, error=error)
    reason = f"“{culprit.title}” ended {culprit.outcome}: {culprit.message}"
    wanted = verdict is Outcome.CANCELLED and parent.cancelled_by is not None
    journal.log(tx, parent.id, reason, "info" if wanted else "error")
    siblings = [c.id for c in tasks.children(tx, parent.id) if c.id != culprit.id]
    why = f"Not started: {reason}"
    _stop_children(tx, parent, siblings, why, parent.cancelled_by)


def _stop_children(
    tx: Transaction, parent: Task, children: list[str], why: str, by: str | None
) -> None:
    """Stop these children of one parent; the many of which nothing was ever sent in a
    few statements, since a plan of thousands must be stopped in one transaction."""
    # Locked first, read then: a claim that came in between is seen (rule 10).
    locked = tasks.lock(tx, children)
    unsent = droppable(tx, locked.values())
    if len(unsent) >= _MANY:
        how = End.cancelled(why)
        if by == DEADLINE:
            how = how.out_of_time(sent=False)
        if parent.verdict is None:
            error = how.error or {"code": str(how.outcome), "message": why}
            verdict = Outcome.CANCELLED
            parent = tasks.change(tx, parent, verdict=verdict, error=error)
        drop_many(tx, unsent, how, by)
        gone = {task.id for task in unsent}
        children = [child for child in children if child not in gone]
        if tasks.count_down(tx, parent.id, len(unsent)) == 0:
            _all_ended(tx, tasks.get(tx, parent.id))
    for child in children:
        # Read again: the end of one may have ended the next.
        stop(tx, tasks.get(tx, child), why, by)


def _tell_parent(tx: Transaction, ended: Task, parent_id: str) -> None:
    if ended.undoes_id is not None:
        if ended.went_well:
            undo_rows.undone(tx, ended.undoes_id)
    elif ended.went_well:
        # A bad end leaves the progress as it was; so thousands that are dropped at once
        # do not add each other up again and again.
        roll_up(tx, ended)
        for waiting in tasks.needing(tx, ended.id):
            if waiting.state is TaskState.WAITING:
                left = tasks.count_down(tx, waiting.id)
                if left == 0:
                    tasks.move(tx, waiting, TaskState.QUEUED)
    else:
        fix_verdict(tx, tasks.get(tx, parent_id), ended)
    if tasks.count_down(tx, parent_id) == 0:
        _all_ended(tx, tasks.get(tx, parent_id))


def _all_ended(tx: Transaction, parent: Task) -> None:
    """The last child has ended: finish, go on with the undo, or end with the verdict
    that stands."""
    if parent.step is Step.UNDO:
        tasks.move(tx, parent, TaskState.QUEUED)
        return
    if parent.verdict is None:
        tasks.move(tx, parent, TaskState.QUEUED, step=Step.FINISH)
        return
    culprit = parent.error or {"code": str(parent.verdict), "message": ""}
    code, message = str(culprit["code"]), str(culprit["message"])
    end(tx, parent, failed_with(tx, parent, message, code, parent.verdict))


def _by_verdict(task: Task, how: End) -> End:
    """A verdict that has fallen stands: what is dropped after a failure has failed."""
    if task.verdict is not Outcome.FAILED or how.outcome is not Outcome.CANCELLED:
        return how
    error = dict(task.error or {})
    message = f"{error.get('message', '')} {how.message}".strip()
    return replace(how, outcome=Outcome.FAILED, message=message, error=error)
