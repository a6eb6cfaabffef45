"""Tasks as views: rows of a list, and one task with its tree, log and evidence."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.domain.task import Task
from earmark.engine import browse, explain
from earmark.engine.pace import Paces
from earmark.store import schema
from earmark.store.database import Transaction
from earmark.store.tasks import from_row, select_tasks
from earmark.web.reading.promises import promises
from earmark.web.views import (
    LogLine,
    PlaceholderView,
    Ref,
    TaskError,
    TaskView,
    WaitingFor,
)

RECENT = 10
LOG_TAIL = 200
#: Objects in one statement that has a part for each; both stores take more.
_AT_ONCE = 100
_PAGES = {
    "vm": "/vms/{}",
    "provider": "/providers/{}",
    "template": "/templates",
    "orphan": "/orphans",
}


@dataclass(frozen=True)
class TaskDetail:
    """Everything that a task's own page shows of it."""

    task: TaskView
    parent: Ref | None
    provider: Ref | None
    log: tuple[LogLine, ...]
    placeholders: tuple[PlaceholderView, ...]


def _error(error: Mapping[str, Any]) -> TaskError:
    lists = (
        tuple(str(what) for what in error.get(name, ()))
        for name in ("left_behind", "undone", "not_done")
    )
    return TaskError(str(error["code"]), str(error["message"]), *lists)


def view(face: browse.TaskFace) -> TaskView:
    """Show one task."""
    subject = face.object
    about = None
    if subject is not None:
        href = _PAGES[subject.type].format(subject.id)
        about = Ref(subject.type, subject.id, subject.name, href)
    error, reason = face.error, face.waiting_for
    return TaskView(
        id=face.id,
        command=face.command,
        title=face.title,
        state=face.state,
        outcome=face.outcome,
        progress=face.progress,
        message=face.message or None,
        result=_told(face.result),
        error=_error(error) if error else None,
        object=about,
        user=face.user,
        parent=face.parent,
        zone=face.zone,
        role=face.role,
        attempt=face.attempt,
        waiting_for=_waiting(reason) if reason else None,
        created_at=face.created_at,
        started_at=face.started_at,
        finished_at=face.finished_at,
        version=face.version,
        undoes=face.undoes,
        retry_of=face.retry_of,
        retried_by=face.retried_by,
        cancelled_by=face.cancelled_by,
        expected=face.expected,
        stoppable=face.stoppable,
        tries=face.tries,
    )


def _waiting(reason: explain.WaitingFor) -> WaitingFor:
    return WaitingFor(
        kind=reason.kind,
        text=reason.text,
        since=reason.since,
        next_check=reason.next_check,
        who=reason.who,
        task=reason.task,
    )


def _told(result: Any) -> str | None:
    if result is None or isinstance(result, str):
        return result
    return json.dumps(result, ensure_ascii=False)


def views(tx: Transaction, shown: Sequence[Task]) -> list[TaskView]:
    """Show many tasks."""
    return [view(face) for face in browse.faces(tx, shown)]


def followed(
    tx: Transaction, shown: Sequence[Task], paces: Paces | None = None
) -> list[TaskView]:
    """Show tasks that somebody waits for: with their places in the queue, and with what
    past runs took. Who looks often brings the `paces` that it keeps."""
    return [view(face) for face in browse.faces(tx, shown, paces=paces or Paces())]


def by_ids(tx: Transaction, ids: Iterable[str]) -> list[Task]:
    """Read the tasks of these ids that exist."""
    query = select_tasks().where(schema.tasks.c.id.in_(list(ids)))
    return [from_row(row) for row in tx.execute(query)]


def versions(tx: Transaction, ids: Iterable[str]) -> dict[str, int]:
    """Task → its version, of those that exist: whether it has changed."""
    tasks = schema.tasks
    query = sa.select(tasks.c.id, tasks.c.version).where(tasks.c.id.in_(list(ids)))
    return {row.id: row.version for row in tx.execute(query)}


def refs(tx: Transaction, ids: Iterable[str]) -> dict[str, Ref]:
    """Link to the tasks of these ids; those that are not kept any more are missing."""
    tasks = schema.tasks
    query = sa.select(tasks.c.id, tasks.c.title).where(tasks.c.id.in_(list(ids)))
    return {
        row.id: Ref("task", row.id, row.title, f"/tasks/{row.id}")
        for row in tx.execute(query)
    }


def over(tx: Transaction, ids: Iterable[str]) -> set[str]:
    """Choose those for which waiting helps no more: ended, held, or not there."""
    tasks = schema.tasks
    wanted = set(ids)
    query = sa.select(tasks.c.id).where(
        tasks.c.id.in_(wanted),
        tasks.c.state.not_in((TaskState.DONE, TaskState.HELD)),
    )
    return wanted - set(tx.execute(query).scalars())


def under_way(tx: Transaction) -> int:
    """Count the roots that have not ended."""
    tasks = schema.tasks
    # Two ranges rather than a list: a store that was measured while all had ended would
    # go through all of them.
    ranges = (tasks.c.state < TaskState.DONE, tasks.c.state > TaskState.DONE)
    count = sa.select(sa.func.count()).where(tasks.c.parent_id.is_(None))
    parts = [count.where(one).scalar_subquery() for one in ranges]
    return int(tx.execute(sa.select(parts[0] + parts[1])).scalar_one())


def busy_on(tx: Transaction, kind: str, ids: Iterable[str]) -> dict[str, TaskView]:
    """Object id → the newest that is done to it and has not ended."""
    tasks = schema.tasks
    query = (
        select_tasks()
        .where(
            tasks.c.object_kind == kind,
            tasks.c.object_id.in_(list(ids)),
            browse.first_on_object(),
            tasks.c.finished_at.is_(None),
        )
        .order_by(tasks.c.id)
    )
    newest = {row.object_id: from_row(row) for row in tx.execute(query)}
    shown = views(tx, list(newest.values()))
    return dict(zip(newest, shown, strict=True))


def recent_on(
    tx: Transaction, kind: str, ids: Iterable[str]
) -> dict[str, tuple[TaskView, ...]]:
    """Object id → the newest that was done to it."""
    wanted = sorted(set(ids))
    newest: list[str] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = _newest_on(kind, wanted[start : start + _AT_ONCE])
        newest += tx.execute(some).scalars()
    rows = sorted(by_ids(tx, newest), key=lambda task: task.id, reverse=True)
    found: dict[str, tuple[TaskView, ...]] = {}
    for row, shown in zip(rows, views(tx, rows), strict=True):
        assert row.object_id is not None
        found[row.object_id] = (*found.get(row.object_id, ()), shown)
    return found


def _newest_on(kind: str, ids: Sequence[str]) -> sa.CompoundSelect[str]:
    """SELECT of the ids of the newest tasks of each object. Each object is read from
    its end of the index, so that what was done long ago costs nothing."""
    tasks = schema.tasks
    parts = [
        sa.select(tasks.c.id)
        .where(
            tasks.c.object_kind == kind,
            tasks.c.object_id == one,
            browse.first_on_object(),
        )
        .order_by(tasks.c.id.desc())
        .limit(RECENT)
        .subquery()
        for one in ids
    ]
    return sa.union_all(*(sa.select(part.c.id) for part in parts))


def newest(tx: Transaction) -> tuple[TaskView, ...]:
    """The roots that were asked for last, by whomever."""
    return tuple(views(tx, browse.list_tasks(tx, browse.TaskFilter(), RECENT)))


def details(
    tx: Transaction, ids: Iterable[str], paces: Paces | None = None
) -> dict[str, TaskDetail]:
    """Read everything about tasks; those that do not exist are missing."""
    wanted = set(ids)
    tasks = schema.tasks
    roots = sa.select(tasks.c.root_id).where(tasks.c.id.in_(wanted))
    query = select_tasks().where(tasks.c.root_id.in_(roots)).order_by(tasks.c.id)
    family = [from_row(row) for row in tx.execute(query)]
    asked = [task for task in family if task.id in wanted]
    if not asked:
        return {}
    shown = {view.id: view for view in followed(tx, family, paces)}
    below: dict[str | None, list[str]] = defaultdict(list)
    for member in family:
        below[member.parent_id].append(member.id)
    logs = _logs(tx, [task.id for task in asked])
    effects = promises(tx, asked)
    providers = _providers(tx, asked)
    found = {}
    for task in asked:
        above = shown.get(task.parent_id) if task.parent_id else None
        found[task.id] = TaskDetail(
            task=_tree(shown, below, task.id, 0),
            parent=Ref("task", above.id, above.title, above.href) if above else None,
            provider=providers.get(task.provider_id or ""),
            log=logs.get(task.id, ()),
            placeholders=effects.get(task.id, ()),
        )
    return found


def _tree(
    shown: Mapping[str, TaskView],
    below: Mapping[str | None, Sequence[str]],
    task_id: str,
    depth: int,
) -> TaskView:
    children = tuple(
        _tree(shown, below, child, depth + 1) for child in below.get(task_id, ())
    )
    return replace(shown[task_id], depth=depth, children=children)


def _logs(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[LogLine, ...]]:
    tasks, log = schema.tasks, schema.task_log
    query = (
        sa.select(log)
        .join(tasks, tasks.c.id == log.c.task_id)
        .where(tasks.c.id.in_(ids), log.c.number > tasks.c.log_lines - LOG_TAIL)
        .order_by(log.c.task_id, log.c.number)
    )
    found: dict[str, tuple[LogLine, ...]] = {}
    for row in tx.execute(query):
        line = LogLine(row.number, row.at, row.level, row.text)
        found[row.task_id] = (*found.get(row.task_id, ()), line)
    return found


def _providers(tx: Transaction, shown: Sequence[Task]) -> dict[str, Ref]:
    table = schema.providers
    ids = {task.provider_id for task in shown if task.provider_id}
    if not ids:
        return {}
    query = sa.select(table.c.id, table.c.name).where(table.c.id.in_(ids))
    return {
        row.id: Ref("provider", row.id, row.name, f"/providers/{row.id}")
        for row in tx.execute(query)
    }
