"""Drop many: the tasks of a large plan of which nothing was ever sent end in a few
statements. One by one, thousands would take longer than a writer may hold SQLite."""

from collections.abc import Iterable, Sequence

from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Task
from earmark.engine.authored import clean
from earmark.engine.end import End
from earmark.store import journal, notifications, placeholders, secrets, tasks
from earmark.store.database import Transaction

#: Tasks in one statement; both stores take more.
_CHUNK = 500


def droppable(tx: Transaction, locked: Iterable[Task]) -> list[Task]:
    """Those of these locked tasks that only wait, have no children, and may have sent
    nothing ever."""
    waiting = [t for t in locked if t.state in (TaskState.QUEUED, TaskState.WAITING)]
    ids = [task.id for task in waiting]
    effects = placeholders.of_tasks(tx, ids)
    parents = tasks.with_children(tx, ids)
    found = []
    for task in waiting:
        effect = effects.get(task.id)
        unsent = effect is None or (
            effect.state is PlaceholderState.PLANNED
            and effect.first_sent_at is None
            and not task.restored
            and effect.replaces_id is None  # what it replaces was sent
        )
        if unsent and task.id not in parents:
            found.append(task)
    return found


def drop_many(
    tx: Transaction, unsent: Sequence[Task], how: End, by: str | None
) -> None:
    """End them all, with their promises and secrets. Their parent is the caller's."""
    for start in range(0, len(unsent), _CHUNK):
        ids = [task.id for task in unsent[start : start + _CHUNK]]
        placeholders.drop_planned(tx, ids)
        numbers = tasks.end_many(
            tx,
            ids,
            by,
            outcome=how.outcome,
            message=clean(how.message),
            error=how.error,
        )
        words = clean(f"Ended {how.outcome}: {how.message}")
        journal.log_many(tx, numbers, words, how.level(by))
        journal.note_many(tx, by or "engine", "settle", ids, outcome=how.outcome)
        secrets.delete_of_tasks(tx, ids)
        notifications.ended(tx, ids)
