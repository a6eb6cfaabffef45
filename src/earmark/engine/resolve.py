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
from earmark.engine.end import End
from earmark.engine.runtime import Engine
from earmark.engine.wake import end
from earmark.store import dialect, journal, placeholders, tasks
from earmark.store.database import Transaction


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


_CHOICES = (
    Choice(
        Decision.ADOPT,
        "Adopt this id",
        "It is there: what the provider knows by this id is followed to its end.",
    ),
    Choice(
        Decision.ABSENT,
        "Confirm absent",
        "It is not there, and will not come: the provider is asked once more, then the "
        "task fails.",
    ),
    Choice(
        Decision.SEND_AGAIN,
        "Send again",
        "The same request, once more. If the first one did arrive, there may be two.",
    ),
    Choice(
        Decision.WATCH,
        "Stop waiting, and watch",
        "The task ends as interrupted and lets go of its locks. Every sweep of the "
        "provider looks for what became of the request: what it shows with our mark is "
        "told as an orphan. Its evidence is kept with the task.",
    ),
)


def choices(effect: Placeholder, stopping: bool) -> tuple[Choice, ...]:
    """What can be decided about an effect now; none unless it is held. Of a task that
    was asked to stop (`stopping`) nothing is sent any more."""
    if effect.state is not PlaceholderState.HELD or effect.decision is not None:
        return ()
    barred = Decision.SEND_AGAIN if stopping else None
    return tuple(it for it in _CHOICES if it.decision is not barred)


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
        if effect is None or effect.state is not PlaceholderState.HELD:
            raise Rejected(
                f"“{task.title}” is not held: there is nothing to decide about it.",
                hint="`earmark tasks ls --needs-me` lists what waits for a person.",
                code="not-held",
            )
        said = f"{who} decided: {decision}" + (f" {handle}." if handle else ".")
        placeholders.witness(
            tx, effect.id, "decision", said, external_id=handle or None
        )
        journal.log(tx, task.id, said, "warning")
        journal.note(tx, who, "resolve", task.id, decision=decision, handle=handle)
        _carry_out(tx, task, effect, decision, who, handle)
        return tasks.get(tx, task.id)

    return engine.write(work)


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
