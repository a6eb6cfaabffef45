"""Resolve: a person decides what nobody could find out, with the evidence at hand.

Only a decision that the engine can carry out by itself is final at once. That something
is absent is checked once more before it is believed (`confirm.py`). A handle that is
adopted is polled like any other; if the provider does not know it, it is held again.
"""

from dataclasses import dataclass
from enum import StrEnum

from earmark.domain.errors import BadInput, Rejected
from earmark.domain.states import Outcome, PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine import restored
from earmark.engine.again import promise_anew
from earmark.engine.end import End
from earmark.engine.not_undone import PATIENCE
from earmark.engine.restored import unasked
from earmark.engine.runtime import Engine
from earmark.engine.wake import drop, end, end_undone
from earmark.store import dialect, journal, placeholders, tasks
from earmark.store.database import Transaction


class Decision(StrEnum):
    """What a person can decide about a held task."""

    ADOPT = "adopt"
    ABSENT = "absent"
    SEND_AGAIN = "send-again"
    WATCH = "watch"
    UNDO_AGAIN = "undo-again"
    LEAVE_BEHIND = "leave-behind"


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what it is called, and what pressing it does."""

    decision: Decision
    label: str
    text: str


_LABELS = {
    Decision.ADOPT: "Adopt this id",
    Decision.ABSENT: "Confirm absent",
    Decision.SEND_AGAIN: "Send again",
    Decision.WATCH: "Stop waiting, and watch",
    Decision.UNDO_AGAIN: "Try again",
    Decision.LEAVE_BEHIND: "Leave it behind",
}

_ADOPT = "It is there: what the provider knows by this id is followed to its end."
_ABSENT = "It is not there, and will not come: the provider is asked once more, then "
_AGAIN = "The same request, once more. If the first one did arrive, there may be two."
_SWEEPS = (
    " Every sweep of the provider looks for what became of the request: what it shows "
    "with our mark is told as an orphan. Its evidence is kept with the task."
)
_WHOLE_ENDS = (
    "The task ends with the verdict that it has, and lets go of its locks, when the "
    "other steps under way have ended."
)
#: Of what somebody asked for, all of which is one effect.
_OF_WHOLE = {
    Decision.ADOPT: _ADOPT,
    Decision.ABSENT: f"{_ABSENT}the task fails. What it did before is taken back "
    "first, where its command says how.",
    Decision.SEND_AGAIN: _AGAIN,
    Decision.WATCH: f"The task ends as interrupted, and its locks go.{_SWEEPS}",
}
#: Of a part: the locks are the root's, and its end is another's affair (rules 8, 11).
_OF_PART = {
    Decision.ADOPT: _ADOPT,
    Decision.ABSENT: f"{_ABSENT}this part fails, and the whole cannot end well: "
    "nothing more of it is sent, and what was done is taken back, where its command "
    "says how. The locks stay until the whole ends.",
    Decision.SEND_AGAIN: _AGAIN,
    Decision.WATCH: "This part ends as interrupted, and the whole cannot end well: "
    "nothing more of it is sent. What came before this part stays, since this may "
    "stand on it; the rest is taken back, where its command says how. The locks stay "
    f"until the whole ends.{_SWEEPS}",
}
#: Of a step that takes something back: it never just fails (rule 9).
_OF_STEP = {
    Decision.ADOPT: "It is taken back there: the job that the provider knows by this "
    "id is followed to its end.",
    Decision.ABSENT: "It was not taken back, and the request cannot arrive any more: "
    "the provider is asked once more, then the taking back is tried again, as a new "
    f"request. After {PATIENCE.attempts} tries you are asked again.",
    Decision.SEND_AGAIN: "The same request to take it back, once more. If the first "
    "one did arrive, it may be carried out twice.",
    Decision.WATCH: "This step ends as interrupted. What it was to take back is named "
    "as perhaps left behind, and what was done before that stays at the provider. "
    f"{_WHOLE_ENDS}",
}

_OF_UNDO = (Decision.UNDO_AGAIN, Decision.LEAVE_BEHIND)
#: About what could not be taken back, though it is known what became of each try.
_OF_FAILED_STEP = {
    Decision.UNDO_AGAIN: "What stood in the way is mended: it is tried again now, as "
    f"a new request, {PATIENCE.attempts} times if need be.",
    Decision.LEAVE_BEHIND: "It stays at the provider, with what was done before it; "
    f"both are named. {_WHOLE_ENDS}",
}
#: About a step that waits for its next try, since its provider may be away for good.
_OF_WAITING_STEP = {
    Decision.LEAVE_BEHIND: _OF_FAILED_STEP[Decision.LEAVE_BEHIND],
}
#: The same, when the store is an older copy of itself: nobody has asked yet.
_OF_RESTORED_STEP = {
    Decision.LEAVE_BEHIND: "It stays at the provider, unless it was taken back before "
    "the store was put back. It is named, and so is what was done before it, which "
    f"stays. {_WHOLE_ENDS}",
}
#: About a root whose command could not say how it is taken back.
_OF_UNPLANNED = {
    Decision.UNDO_AGAIN: "What stood in the way is mended: its command is asked again "
    f"how to take it back, {PATIENCE.attempts} times if need be.",
    Decision.LEAVE_BEHIND: "What was not taken back yet stays at the provider. The "
    "task ends with the verdict that it has, names it, and lets go of its locks.",
}


def choices(task: Task, effect: Placeholder | None) -> tuple[Choice, ...]:
    """What can be decided about a held task, or a step of an undo that waits, and its
    newest effect now, and what that does to this task; of one that was asked to stop
    nothing is sent any more."""
    is_step = task.undoes_id is not None
    if _waits_for_its_next_try(task, effect):
        texts = _OF_RESTORED_STEP if task.restored else _OF_WAITING_STEP
    elif task.state is not TaskState.HELD:
        return ()
    elif effect is None or effect.state is not PlaceholderState.HELD:
        texts = _OF_FAILED_STEP if is_step else _OF_UNPLANNED
    elif effect.decision is not None:
        return ()
    elif is_step:
        texts = _OF_STEP
    else:
        texts = _OF_WHOLE if task.is_root else _OF_PART
    barred = Decision.SEND_AGAIN if task.stop_requested else None
    return tuple(
        Choice(decision, _LABELS[decision], text)
        for decision, text in texts.items()
        if decision is not barred
    )


def _waits_for_its_next_try(task: Task, effect: Placeholder | None) -> bool:
    """True for a step of an undo that was claimed before, and of which nothing is
    open at the provider."""
    if task.undoes_id is None or task.state is not TaskState.QUEUED:
        return False
    return task.attempt > 0 and effect is not None and effect.only_promised


def resolve(
    engine: Engine,
    task_id: str,
    decision: Decision,
    who: str,
    *,
    external_id: str | None = None,
) -> Task:
    """Carry out a person's decision, one of the task's `choices`; returns it as it is
    then.

    `external_id` is the provider's handle to adopt, for that decision alone. Raises
    `BadInput` without it, `Rejected` when there is no such choice or the handle is
    another task's.
    """
    handle = (external_id or "").strip()
    if decision is Decision.ADOPT and not handle:
        raise BadInput(
            "Say which id at the provider to adopt.",
            fields={"external_id": "is missing"},
        )
    if decision is not Decision.ADOPT and handle:
        raise BadInput(
            f"An id goes with {Decision.ADOPT} alone.",
            fields={"external_id": f"does not go with {decision}"},
        )

    def work(tx: Transaction) -> Task:
        task = tasks.lock_family(tx, tasks.get(tx, task_id).id)
        effect = placeholders.of_task(tx, task.id)
        _check_choice(task, effect, decision)
        said = f"{who} decided: {decision}" + (f" {handle}." if handle else ".")
        if effect is not None:
            placeholders.witness(
                tx, effect.id, "decision", said, external_id=handle or None
            )
        journal.log(tx, task.id, said, "warning")
        journal.note(tx, who, "resolve", task.id, decision=decision, handle=handle)
        if decision in _OF_UNDO:
            _carry_out_undo(tx, task, effect, decision, who)
        else:
            assert effect is not None, "only effects can be decided so about"
            _carry_out(tx, task, effect, decision, who, handle)
        return tasks.get(tx, task.id)

    return engine.write(work)


def _check_choice(task: Task, effect: Placeholder | None, decision: Decision) -> None:
    waits = _waits_for_its_next_try(task, effect)
    if task.state is not TaskState.HELD and not waits:
        raise Rejected(
            f"“{task.title}” is not held: there is nothing to decide about it.",
            hint="`earmark tasks ls --needs-me` lists what waits for a person.",
            code="not-held",
        )
    of_undo = effect is None or effect.state is not PlaceholderState.HELD
    fits = decision in _OF_WAITING_STEP if waits else decision in _OF_UNDO
    if of_undo != fits:
        names = ", ".join(choice.decision for choice in choices(task, effect))
        raise Rejected(
            f"“{decision}” cannot be decided about “{task.title}”.",
            hint=f"There are: {names}." if names else "It was decided about already.",
            code="no-such-choice",
        )


def _carry_out_undo(
    tx: Transaction,
    task: Task,
    effect: Placeholder | None,
    decision: Decision,
    who: str,
) -> None:
    if decision is Decision.UNDO_AGAIN:
        if task.undoes_id is not None and effect is not None:
            promise_anew(tx, effect)
        fresh = {"tries": 0, "recoveries": 0, "run_after": tx.now}
        text = f"{who} had it tried again."
        tasks.move(tx, task, TaskState.QUEUED, message=text, **fresh)
        return
    text = f"{who} left it behind."
    if task.undoes_id is None:
        journal.log(tx, task.id, text, "warning")
        end_undone(tx, task)
        return
    step = _no_more_tries(tx, task)
    if effect is not None and effect.only_promised and unasked(tx, step, effect):
        _watch_unasked(tx, step, effect, who)
        return
    error = {"code": "left-behind", "message": text}
    drop(tx, step, effect, End(Outcome.INTERRUPTED, text, error=error))


def _watch_unasked(tx: Transaction, step: Task, effect: Placeholder, who: str) -> None:
    """What may have been sent before the store was put back cannot be dropped (rule
    15), and nobody can be asked about it: the sweeps look for what became of it."""
    doubt = {
        "doubt_since": tx.now,
        "first_sent_at": effect.first_sent_at or step.created_at,
    }
    effect = placeholders.move(tx, effect, PlaceholderState.IN_DOUBT, **doubt)
    effect = placeholders.move(tx, effect, PlaceholderState.HELD)
    _watch(tx, step, effect, who)


def _no_more_tries(tx: Transaction, step: Task) -> Task:
    """A person gave this step of an undo up: now it may end badly."""
    return tasks.change(tx, step, stop_requested=True)


def _carry_out(
    tx: Transaction,
    task: Task,
    effect: Placeholder,
    decision: Decision,
    who: str,
    handle: str,
) -> None:
    match decision:
        case Decision.ADOPT:
            _adopt(tx, task, effect, handle)
        case Decision.ABSENT:
            decided = {"what": str(decision), "by": who}
            placeholders.change(
                tx, effect, decision=decided, next_check_at=tx.now, checks=0, errors=0
            )
            asking = f"{who} says that it is absent; the provider is asked once more."
            tasks.change(tx, task, message=asking)
        case Decision.SEND_AGAIN:
            _send_again(tx, task, effect)
        case Decision.WATCH:
            if task.undoes_id is not None:
                task = _no_more_tries(tx, task)
            _watch(tx, task, effect, who)


def _watch(tx: Transaction, task: Task, effect: Placeholder, who: str) -> None:
    placeholders.move(tx, effect, PlaceholderState.WATCHED, next_check_at=None)
    what = f"{effect.operation} {effect.external_id or effect.id}"
    text = f"{who} stopped waiting; what became of {what} is not known."
    error = {"code": "watched", "message": text, "left_behind": [what]}
    end(tx, task, End(Outcome.INTERRUPTED, text, error=error))


def _adopt(tx: Transaction, task: Task, effect: Placeholder, handle: str) -> None:
    # Two people may name the same id for two tasks at once: one after the other.
    place = f"handle:{effect.provider_id}:{effect.operation}:{handle}"
    dialect.lock_names(tx.connection, [place])
    other = placeholders.bound_to(tx, effect, handle)
    if other is not None:
        raise Rejected(
            f"{handle} belongs to another task already: {other}.", code="not-ours"
        )
    placeholders.move(
        tx,
        effect,
        PlaceholderState.BOUND,
        external_id=handle,
        doubt_since=None,
        next_check_at=tx.now,
        checks=0,
        errors=0,
    )
    tasks.rest(tx, task, message="")


def _send_again(tx: Transaction, task: Task, effect: Placeholder) -> None:
    if task.stop_requested:
        raise Rejected("It was asked to stop: nothing of it is sent any more.")
    restored.decided(tx, task, effect)
    # The doubt goes on, from now: a refusal of this one says nothing of the first.
    placeholders.move(
        tx,
        effect,
        PlaceholderState.PLANNED,
        doubt_since=tx.now,
        next_check_at=None,
        checks=0,
        errors=0,
    )
    text = "A person had it sent again."
    tasks.move(tx, task, TaskState.QUEUED, message=text, run_after=tx.now)
