"""Not undone: a step that takes something back came to a bad end, or could not even be
planned. It is tried again, and then held: undo never just fails (rule 9). While its
provider is away it waits."""

from earmark.domain.command import Retry
from earmark.domain.states import TaskState
from earmark.domain.task import Task
from earmark.engine.again import promise_anew, tries_of, try_later
from earmark.engine.authored import clean
from earmark.engine.away import unreachable
from earmark.engine.end import End
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.store import journal, locks, placeholders, tasks
from earmark.store.database import Transaction

#: How often it is tried, and how patiently, before a person is asked.
PATIENCE = Retry()


def try_again_or_hold(tx: Transaction, task: Task, how: End) -> Task:
    """Instead of the bad end that a step of an undo, whose family is locked, would come
    to: a new promise with a token of its own, or a question to a person."""
    why = clean(how.message) or str(how.outcome)
    # A promise for each try, also for those that fail before they come past their plan.
    promised = placeholders.all_of_tasks(tx, [task.id])
    tries = len(promised) % PATIENCE.attempts
    if not tries:
        return hold_undo(tx, task, why)
    promise_anew(tx, promised[-1])
    journal.log(tx, task.id, f"Not taken back: {why}", "warning")
    return try_later(tx, task, PATIENCE, why, tries)


def wait_for_provider(tx: Transaction, task: Task, error: Exception, why: str) -> bool:
    """Whether a step of an undo, whose family is locked and of which nothing is open,
    only did not reach its provider. That is no try, since silence is not an answer
    (rule 4): it is queued again, for as long as it takes, with the promise it has."""
    if task.undoes_id is None or task.stop_requested or not unreachable(error):
        return False
    text = f"Not taken back yet: {why}"
    if not journal.says(tx, task.id, text):
        journal.log(tx, task.id, text, "warning")
    # What it was counted for when it came past its plan.
    tries = max(task.tries - 1, task.recoveries)
    try_later(tx, tasks.change(tx, task, tries=tries), PATIENCE, text, task.attempt)
    return True


def not_planned(engine: Engine, root: Task, error: Exception) -> None:
    """An author's `undo` raised: the same for the root, whose next steps are not known
    without it."""
    why = told(error)

    def work(tx: Transaction) -> None:
        locks.lock_family(tx, root)
        task = tasks.change(tx, root, tries=root.tries + 1)
        journal.log(tx, task.id, f"Its undo could not be planned: {why}", "error")
        if tries_of(task) < PATIENCE.attempts:
            try_later(tx, task, PATIENCE, why)
        else:
            hold_undo(tx, task, why)

    engine.write(work)


def given_up(tx: Transaction, root: Task) -> bool:
    """True when a person left something of this root behind. What came before that may
    be what it stands on, so it stays as well."""
    return any(
        part.undoes_id is not None and part.done and not part.went_well
        for part in tasks.children(tx, root.id)
    )


def hold_undo(tx: Transaction, task: Task, why: str) -> Task:
    """What takes something back cannot go on: a person decides."""
    text = f"It could not be taken back: {why}"
    journal.log(tx, task.id, f"Held: {text}", "error")
    if task.state is TaskState.HELD:
        return tasks.change(tx, task, message=text)
    journal.note(tx, "engine", "hold", task.id, why=text)
    return tasks.hold(tx, task, message=text)
