"""Cancel: somebody no longer wants it. What was never sent is dropped at once; what is
at the provider is asked to stop, and its observed end counts."""

from dataclasses import dataclass

from earmark.domain.errors import BadInput, Rejected
from earmark.domain.states import Outcome, PlaceholderState, Step, TaskState
from earmark.domain.task import Task
from earmark.engine.end import DEADLINE
from earmark.engine.runtime import Engine
from earmark.engine.wake import stop
from earmark.store import journal, locks, placeholders, tasks
from earmark.store import undo as undo_rows
from earmark.store.database import Transaction

_P = PlaceholderState


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cancel would mean now, said beforehand. `kind` for programs: nothing-sent,
    find-out, ask-provider, ask-worker, follow, person; `text` for people."""

    kind: str
    text: str


_NOTHING_SENT = Offer("nothing-sent", "Nothing has been sent: it ends at once.")
_ASK_WORKER = Offer(
    "ask-worker", "It runs now and is asked to stop; it ends when it does."
)
_ASK_PROVIDER = Offer(
    "ask-provider",
    "The provider is asked to stop what is under way; how that really ends counts.",
)
_FOLLOW = Offer(
    "follow",
    "Nothing more is sent. What is under way cannot be stopped at the provider; it is "
    "followed to its end, which counts.",
)
_ENDING = Offer(
    "follow",
    "Nothing more is sent. All of it has ended already; only that is still to be "
    "written down.",
)
_FIND_OUT = Offer(
    "find-out",
    "A request may have left: first it must be found out what became of it. Nothing "
    "more is sent.",
)
_PERSON = Offer(
    "person",
    "Nothing more is sent. What is held ends only when a person decides.",
)


def refusal(task: Task) -> str:
    """Why it cannot be cancelled, in words; empty when it can."""
    if task.stoppable:
        return ""
    if task.done:
        return "It has ended already."
    if not task.is_root:
        return "It is a part of another task; cancel that one."
    if task.step is Step.UNDO:
        return "What it did is being taken back already, and that is not cancelled."
    return f"It was asked to stop already, by {task.cancelled_by}."


def offer(tx: Transaction, task: Task) -> Offer | None:
    """What cancelling would mean; None when it cannot be, for its `refusal`."""
    if not task.stoppable:
        return None
    effects = placeholders.open_of_root(tx, task.id)
    states = {effect.state for effect in effects}
    meaning = _NOTHING_SENT
    if _P.HELD in states:
        meaning = _PERSON
    elif states & {_P.SENDING, _P.IN_DOUBT, _P.PLANNED}:
        meaning = _FIND_OUT
    elif states:
        meaning = _ASK_PROVIDER if any(e.stoppable for e in effects) else _FOLLOW
    elif task.step is Step.FINISH and _all_ended(tx, task):
        meaning = _ENDING
    elif task.state is TaskState.RUNNING or tasks.any_running(tx, task.id):
        meaning = _ASK_WORKER
    more = _done_already(tx, task, meaning)
    return Offer(meaning.kind, meaning.text + more)


def _done_already(tx: Transaction, task: Task, meaning: Offer) -> str:
    """What becomes of what is done: taken back where its command says how, unless the
    cancel comes too late, which nobody knows beforehand while anything is under way."""
    done = undo_rows.done_of_root(tx, task.id)
    back = 0 if meaning is _ENDING else sum(effect.undoable for effect in done)
    stays = len(done) - back
    words = ""
    if back:
        sure = meaning is _NOTHING_SENT
        unless = "" if sure else ", unless all the rest ends well all the same"
        words += f" What is done already ({_effects(back)}) is taken back{unless}."
    if stays:
        words += f" What is done already stays: {_effects(stays)}."
    return words


def _effects(count: int) -> str:
    return "1 effect" if count == 1 else f"{count} effects"


def asked_by(outcome: Outcome | None, by: str) -> tuple[str, str]:
    """Who asked a task to stop, for people: a label, and who; with how it ended, since
    a cancel may come too late."""
    label = "cancelled by" if outcome is Outcome.CANCELLED else "asked to cancel by"
    if by == DEADLINE:
        label, by = "asked to stop by", "its deadline"
    late = outcome is not None and outcome.good
    return label, f"{by}, too late" if late else by


def _all_ended(tx: Transaction, task: Task) -> bool:
    children = tasks.children(tx, task.id)
    return bool(children) and all(child.done for child in children)


def cancel(engine: Engine, task_id: str, who: str) -> Task:
    """Ask a root to stop; returns the task as it is then. Asking twice changes nothing.

    Raises `UnknownName`, `BadInput` for a child, `Rejected` when it has ended.
    """

    def work(tx: Transaction) -> Task:
        asked = tasks.get(tx, task_id)
        if not asked.is_root:
            raise BadInput(
                "Only what somebody asked for can be cancelled, not a part of it.",
                hint=f"Cancel its root, {asked.root_id}.",
            )
        request_stop(tx, asked, who, f"Cancelled by {who}.")
        return tasks.get(tx, task_id)

    return engine.write(work)


def request_stop(tx: Transaction, asked: Task, by: str, why: str) -> None:
    """Stop a task and all below it, as somebody asked. Raises `Rejected` once it has
    ended; a second time changes nothing."""
    task = locks.lock_family(tx, asked)
    if task.done:
        raise Rejected(
            f"“{task.title}” has ended already: {task.outcome}.", code="ended"
        )
    if task.cancelled_by is not None:
        return
    if task.step is Step.UNDO:
        raise Rejected(
            f"“{task.title}” did not end well, and what it did is being taken back.",
            hint="That is not cancelled. A step that cannot be done asks for you; one "
            "whose provider is away waits for it, and can be left behind.",
            code="undoing",
        )
    journal.log(tx, task.id, f"Asked to stop: {why}", "warning")
    journal.note(tx, by, "cancel", task.id)
    stop(tx, task, why, by)
