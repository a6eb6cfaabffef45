"""Tasks: named reads and guarded writes. Every change of state is checked against the
table in `domain/states.py` and fenced by state and attempt (rule 5)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import Stale, UnknownName
from earmark.domain.states import (
    TASK_MOVES,
    Outcome,
    Step,
    TaskState,
    check,
)
from earmark.domain.task import Task
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import task_needs, tasks, tombstones
from earmark.store.wakeups import Topic

_FIELDS = [tasks.c[name] for name in Task.__slots__]
#: Built once: they are read again and again.
_ALL = sa.select(*_FIELDS)
_ONE = _ALL.where(tasks.c.id == sa.bindparam("id"))
_THESE = _ALL.where(tasks.c.id.in_(sa.bindparam("ids", expanding=True)))
_LOCKED = dialect.for_update(_THESE.order_by(tasks.c.id != tasks.c.root_id, tasks.c.id))
_CHANGED = (
    sa.update(tasks)
    .where(
        tasks.c.id == sa.bindparam("which"),
        tasks.c.state == sa.bindparam("was"),
        tasks.c.attempt == sa.bindparam("tried"),
    )
    .values(version=tasks.c.version + 1)
    .returning(*_FIELDS)
)


def from_row(row: sa.Row[Any]) -> Task:
    """Make a `Task` of a row that has all its columns."""
    values = dict(row._mapping)
    values["state"] = TaskState(values["state"])
    values["step"] = Step(values["step"])
    for name in ("outcome", "verdict"):
        values[name] = Outcome(values[name]) if values[name] else None
    return Task(**values)


def select_tasks() -> sa.Select[Any]:
    """SELECT of everything that `from_row` needs."""
    return _ALL


def insert(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert new tasks; values that every new task shares are filled in."""
    defaults = {
        "step": Step.RUN,
        "outcome": None,
        "verdict": None,
        "progress": 0,
        "message": "",
        "result": None,
        "error": None,
        "attempt": 0,
        "tries": 0,
        "recoveries": 0,
        "retry_of": None,
        "undoes_id": None,
        "stop_requested": False,
        "cancelled_by": None,
        "on_restart": "resume",
        "restored": False,
        "worker_id": None,
        "run_after": tx.now,
        "deadline_at": None,
        "start_by": None,
        "end_by": None,
        "log_lines": 0,
        "version": 1,
        "created_at": tx.now,
        "started_at": None,
        "finished_at": None,
        "updated_at": tx.now,
    }
    if rows:
        tx.execute(sa.insert(tasks), [defaults | dict(row) for row in rows])
        tx.wake(Topic.CHANGES, Topic.QUEUE)


def get(tx: Transaction, task_id: str) -> Task:
    """The task; raises `UnknownName`."""
    found = find(tx, task_id)
    if found is None:
        left = tx.execute(
            sa.select(tombstones).where(tombstones.c.token == task_id)
        ).one_or_none()
        if left is not None:
            raise UnknownName(
                f"This task was deleted. It ended at {left.at:%Y-%m-%d %H:%M:%S} UTC, "
                f"{left.what}",
                hint="Its log and its evidence are gone with it.",
            )
        raise UnknownName(
            f"There is no task {task_id!r}.", hint="See `earmark tasks ls`."
        )
    return found


def of_owner(tx: Transaction, task_id: str, owner: str) -> Task:
    """The owner's task; raises `UnknownName`, for anybody else's too."""
    found = get(tx, task_id)
    if found.owner != owner:
        raise UnknownName(
            f"There is no task {task_id!r} of yours.", hint="See `earmark tasks ls`."
        )
    return found


def by_ids(tx: Transaction, ids: Iterable[str]) -> dict[str, Task]:
    """The tasks of these ids that exist, by id."""
    rows = tx.execute(_THESE, {"ids": list(ids)})
    return {row.id: from_row(row) for row in rows}


def find(tx: Transaction, task_id: str) -> Task | None:
    """The task, or None."""
    row = tx.execute(_ONE, {"id": task_id}).one_or_none()
    return from_row(row) if row else None


def lock(tx: Transaction, ids: Iterable[str | None]) -> dict[str, Task]:
    """Lock tasks in the one order that everybody keeps, and read them (rule 10).

    Roots come first, whatever the clocks of the hosts that made the ids: whoever
    changes a tree holds its root, so below it there is nobody to wait for.
    """
    wanted = sorted({i for i in ids if i is not None})
    rows = tx.execute(_LOCKED, {"ids": wanted}).all()
    return {row.id: from_row(row) for row in rows}


def lock_family(tx: Transaction, task_id: str) -> Task:
    """Lock a task after all its ancestors, the root first: whoever changes a tree holds
    its root. Returns the task as it is now."""
    task = get(tx, task_id)
    chain = {task.id, task.root_id}
    above = task.parent_id
    while above is not None and above not in chain:
        chain.add(above)
        above = get(tx, above).parent_id
    return lock(tx, chain)[task_id]


def rest(tx: Transaction, task: Task, **values: Any) -> Task:
    """Let go of the worker: the task waits for its provider, children or locks, as one
    that was cancelled if somebody asked for that. Fenced like `move`."""
    asked = tx.execute(
        sa.select(tasks.c.cancelled_by).where(tasks.c.id == task.id)
    ).scalar_one()
    to = TaskState.CANCELLING if asked is not None else TaskState.WAITING
    return move(tx, task, to, deadline_at=None, **values)


def hold(tx: Transaction, task: Task, **values: Any) -> Task:
    """Leave the task to a person. One that is queued is no worker's any more. Fenced
    like `move`."""
    if task.state is TaskState.QUEUED:
        task = rest(tx, task)
    return move(tx, task, TaskState.HELD, deadline_at=None, **values)


def queue(tx: Transaction, task: Task, **values: Any) -> Task:
    """Put a task into the queue; one that is in it stays, with these values. Fenced
    like `move`."""
    if task.state is not TaskState.QUEUED:
        return move(tx, task, TaskState.QUEUED, **values)
    tx.wake(Topic.QUEUE)
    return change(tx, task, **values)


def rest_cancelled(tx: Transaction, task: Task) -> Task:
    """`waiting` → `cancelling`: it waits on, for an end that was asked for."""
    return move(tx, task, TaskState.CANCELLING)


def wake_waiting(tx: Transaction, ids: Iterable[str]) -> None:
    """Queue those of these tasks that wait; the others need no waking."""
    for task in lock(tx, ids).values():
        if task.state is TaskState.WAITING:
            move(tx, task, TaskState.QUEUED)


def move(tx: Transaction, task: Task, to: TaskState, **values: Any) -> Task:
    """Change a task's state, if it still is in the state and attempt that was read.

    Raises `Stale` when somebody else moved it (invariant 2).
    """
    check(TASK_MOVES, task.state, to)
    if to is TaskState.DONE:
        values.setdefault("finished_at", tx.now)
        values |= {"pending": 0, "deadline_at": None}
    moved = change(tx, task, state=to, **values)
    if to is TaskState.QUEUED:
        tx.wake(Topic.QUEUE)
    return moved


def change(tx: Transaction, task: Task, **values: Any) -> Task:
    """Change columns under that fence; the state itself only by way of `move`."""
    changed = _CHANGED.values(updated_at=tx.now, **values)
    fence = {"which": task.id, "was": task.state, "tried": task.attempt}
    row = tx.execute(changed, fence).one_or_none()
    if row is None:
        raise Stale(f"Task {task.id} is no longer {task.state} in this attempt.")
    tx.wake(Topic.CHANGES)
    return from_row(row)


def count_down(tx: Transaction, task_id: str, by: int = 1) -> int:
    """One that it waited for has ended, or several; returns how many are left (rule
    10)."""
    left: int = tx.execute(
        sa.update(tasks)
        .where(tasks.c.id == task_id)
        .values(pending=tasks.c.pending - by)
        .returning(tasks.c.pending)
    ).scalar_one()
    return left


def shared_progress(tx: Transaction, parent_id: str) -> int:
    """The children's progress, by their weights: 0 to 100. Undo is no progress."""
    row = tx.execute(
        sa.select(
            sa.func.sum(tasks.c.weight * tasks.c.progress).label("done"),
            sa.func.sum(tasks.c.weight).label("whole"),
        ).where(tasks.c.parent_id == parent_id, tasks.c.undoes_id.is_(None))
    ).one()
    return int(row.done) // int(row.whole) if row.whole else 0


def children(tx: Transaction, parent_id: str) -> list[Task]:
    """The children in the order of their ids, which is the plan's."""
    query = select_tasks().where(tasks.c.parent_id == parent_id).order_by(tasks.c.id)
    return [from_row(row) for row in tx.execute(query)]


def descendants(tx: Transaction, root_id: str) -> list[Task]:
    """Every task of a root but itself, in the order of their ids."""
    query = (
        select_tasks()
        .where(tasks.c.root_id == root_id, tasks.c.id != root_id)
        .order_by(tasks.c.id)
    )
    return [from_row(row) for row in tx.execute(query)]


def needs(tx: Transaction, pairs: Iterable[tuple[str, str]]) -> None:
    """Note that the first of each pair waits for the second."""
    rows = [{"task_id": one, "needs_id": other} for one, other in pairs]
    if rows:
        tx.execute(sa.insert(task_needs), rows)


def needs_of_root(tx: Transaction, root_id: str) -> list[tuple[str, str]]:
    """All such pairs in the tree of a root."""
    query = (
        sa.select(task_needs.c.task_id, task_needs.c.needs_id)
        .join(tasks, tasks.c.id == task_needs.c.task_id)
        .where(tasks.c.root_id == root_id)
    )
    return [(row.task_id, row.needs_id) for row in tx.execute(query)]


def needing(tx: Transaction, task_id: str) -> list[Task]:
    """The siblings that wait for this task."""
    return _linked(tx, task_needs.c.task_id, task_needs.c.needs_id == task_id)


def needed_by(tx: Transaction, task_id: str) -> list[Task]:
    """The siblings that this task came after."""
    return _linked(tx, task_needs.c.needs_id, task_needs.c.task_id == task_id)


def _linked(
    tx: Transaction, end: sa.Column[str], link: sa.ColumnElement[bool]
) -> list[Task]:
    query = select_tasks().join(task_needs, end == tasks.c.id).where(link)
    return [from_row(row) for row in tx.execute(query.order_by(tasks.c.id))]


def running_of(tx: Transaction, worker_id: str) -> list[Task]:
    """What a worker has claimed and not let go of."""
    query = (
        select_tasks()
        .where(tasks.c.worker_id == worker_id, tasks.c.state == TaskState.RUNNING)
        .order_by(tasks.c.id)
    )
    return [from_row(row) for row in tx.execute(query)]


def with_children(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Those of these tasks that have planned children."""
    query = sa.select(tasks.c.parent_id).where(tasks.c.parent_id.in_(ids)).distinct()
    return set(tx.execute(query).scalars())


def end_many(
    tx: Transaction, ids: Sequence[str], by: str | None, **values: Any
) -> dict[str, int]:
    """End locked tasks that only wait; returns the number of each one's last log line,
    which is for the caller to write."""
    only_wait = tasks.c.state.in_((TaskState.QUEUED, TaskState.WAITING))
    rows = tx.execute(
        sa.update(tasks)
        .where(tasks.c.id.in_(ids), only_wait)
        .values(
            state=TaskState.DONE,
            stop_requested=True,
            cancelled_by=sa.func.coalesce(tasks.c.cancelled_by, by),
            pending=0,
            deadline_at=None,
            log_lines=tasks.c.log_lines + 1,
            finished_at=tx.now,
            version=tasks.c.version + 1,
            updated_at=tx.now,
            **values,
        )
        .returning(tasks.c.id, tasks.c.log_lines)
    )
    tx.wake(Topic.CHANGES)
    return {row.id: row.log_lines for row in rows}


def any_running(tx: Transaction, root_id: str) -> bool:
    """True while a worker runs anything of a root."""
    query = sa.select(tasks.c.id).where(
        tasks.c.root_id == root_id, tasks.c.state == TaskState.RUNNING
    )
    return tx.execute(query.limit(1)).first() is not None


def open_retry_of(tx: Transaction, task_id: str) -> str | None:
    """The task that tries an ended one again and has not ended itself, if any."""
    query = sa.select(tasks.c.id).where(
        tasks.c.retry_of == task_id, tasks.c.state != TaskState.DONE
    )
    return tx.execute(query.limit(1)).scalar_one_or_none()


def past_deadlines(tx: Transaction, now: datetime) -> tuple[list[Task], list[Task]]:
    """Tasks that nobody has started in time, and those that run too long and were not
    asked to stop yet."""
    unstarted = select_tasks().where(
        # Literals, so that both planners can use the partial indexes.
        sa.text("start_by IS NOT NULL AND state = 'queued'"),
        tasks.c.start_by < now,
        tasks.c.started_at.is_(None),
    )
    overlong = select_tasks().where(
        sa.text("end_by IS NOT NULL AND state <> 'done'"),
        tasks.c.end_by < now,
        tasks.c.cancelled_by.is_(None),
        tasks.c.step != Step.UNDO,
    )
    first, second = (
        [from_row(row) for row in tx.execute(query.order_by(tasks.c.id).limit(200))]
        for query in (unstarted, overlong)
    )
    return first, second


def overdue(tx: Transaction, before: datetime) -> list[Task]:
    """Running tasks whose call counts as hung (rule 6)."""
    query = (
        select_tasks()
        .where(tasks.c.state == TaskState.RUNNING, tasks.c.deadline_at < before)
        .order_by(tasks.c.id)
    )
    return [from_row(row) for row in tx.execute(query)]
