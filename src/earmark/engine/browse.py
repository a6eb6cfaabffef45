"""Browse: what faces show of tasks, read in a constant number of statements."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.ids import first_id
from earmark.domain.states import Outcome, PlaceholderState, TaskState
from earmark.domain.task import Task
from earmark.engine.again import tries_of
from earmark.engine.explain import WaitingFor, waiting_for
from earmark.engine.pace import Expected, Paces
from earmark.store.database import Transaction
from earmark.store.schema import (
    orphans,
    placeholders,
    providers,
    tasks,
    templates,
    vms,
)
from earmark.store.tasks import from_row, select_tasks
from earmark.store.words import words_of

PAGE = 100
#: Words are looked for in so many tasks that fit the rest of the filter, and no more at
#: a time: no index helps to find words in a million titles.
LOOKED_THROUGH = 20_000
#: And in so many by a page that is open, which looks again with every change.
LOOKED_AGAIN = 500
#: The clocks of hosts that ask for tasks are not further than that from the store's.
CLOCKS_AGREE = timedelta(hours=2)
#: Beyond these there is no such time before, or after.
_FIRST = datetime.min.replace(tzinfo=UTC) + CLOCKS_AGREE
_LAST = datetime.max.replace(tzinfo=UTC) - CLOCKS_AGREE


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; empty fields do not filter. `before` and `after` are ids:
    the list goes from the newest to the oldest."""

    states: tuple[TaskState, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    command: str = ""
    object_kind: str = ""
    object_id: str = ""
    owner: str = ""
    parent: str = ""
    zone: str = ""
    text: str = ""
    """Words of the title or the message, in any case."""
    created_from: datetime | None = None
    created_before: datetime | None = None
    needs_person: bool = False
    children_too: bool = False
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """What a task works on, by kind, id and name."""

    type: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class TaskFace:
    """A task as faces show it: the names of `DESIGN`, the same in CLI, REST, pages."""

    id: str
    command: str
    title: str
    state: TaskState
    outcome: Outcome | None
    progress: int
    message: str
    result: Any
    error: Mapping[str, Any] | None
    object: ObjectRef | None
    user: str
    parent: str | None
    root: str
    provider: str | None
    zone: str
    role: str
    attempt: int
    undoes: str | None
    retry_of: str | None
    retried_by: str | None
    cancelled_by: str | None
    waiting_for: WaitingFor | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    version: int
    expected: Expected | None = None
    """Where somebody follows it, and past runs of its kind tell."""
    stoppable: bool = False
    """Whether a person can ask it to stop."""
    tries: int = 1
    """How often it was really tried; `attempt` counts every claim by a worker."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of tasks. `older` is the id before which the next page begins, if there
    may be one; `cut` when words were not looked for any further than that."""

    tasks: tuple[Task, ...]
    older: str | None = None
    cut: bool = False


def page(tx: Transaction, which: TaskFilter, limit: int = PAGE) -> Listed:
    """The newest tasks that pass the filter; by keyset, so that a page costs the same
    anywhere in the history."""
    edge = _edge(tx, which, LOOKED_THROUGH) if which.text else None
    found = _read(tx, which, limit + 1, edge)
    if len(found) > limit:
        return Listed(tuple(found[:limit]), found[limit - 1].id)
    return Listed(tuple(found), edge, cut=edge is not None)


def list_tasks(tx: Transaction, which: TaskFilter, limit: int = PAGE) -> list[Task]:
    """The tasks of a page, where nobody asks for the next one."""
    edge = _edge(tx, which, LOOKED_THROUGH) if which.text else None
    return _read(tx, which, limit, edge)


def count_since(tx: Transaction, which: TaskFilter, newest: str) -> int:
    """How many fit that were asked for after the task of the id `newest`; all that fit
    when it is empty. No more than a page full, and with words no more than are among
    the newest `LOOKED_AGAIN`."""
    since = replace(which, before="", after=newest)
    edge = _edge(tx, since, LOOKED_AGAIN) if since.text else None
    return len(_read(tx, since, PAGE, edge))


def _read(
    tx: Transaction, which: TaskFilter, limit: int, edge: str | None
) -> list[Task]:
    """The newest of these tasks down to `edge`."""
    found = []
    for part in _parts(which):
        query = select_tasks().order_by(tasks.c.id.desc()).limit(limit)
        query = query.where(*part, *_conditions(which, tx.now), *_words(which.text))
        if edge is not None:
            query = query.where(tasks.c.id >= edge)
        found += [from_row(row) for row in tx.execute(query)]
    return sorted(found, key=lambda task: task.id, reverse=True)[:limit]


def _edge(tx: Transaction, which: TaskFilter, most: int) -> str | None:
    """The oldest of `most` tasks that are looked through for words; None when all
    are."""
    query = sa.select(tasks.c.id).where(*_parts(which)[0], *_conditions(which, tx.now))
    query = query.order_by(tasks.c.id.desc()).offset(most - 1).limit(2)
    seen = tx.execute(query).scalars().all()
    return seen[0] if len(seen) > 1 else None


def _parts(which: TaskFilter) -> list[tuple[sa.ColumnElement[bool], ...]]:
    """A list as one, or what has ended apart from the open states, each of which is
    read from an index of its own, newest first. What is rare has an index of the ended
    ones only: they are the many, and such an index costs the claims nothing."""
    rare = which.command or which.owner or which.zone or which.outcomes
    if not rare or which.parent or which.children_too:
        return [()]
    parts: list[tuple[sa.ColumnElement[bool], ...]] = []
    if not which.states or TaskState.DONE in which.states:
        # Not by the state: SQLite would take the index of that.
        parts.append((tasks.c.finished_at.is_not(None),))
    if not which.outcomes:
        wanted = [it for it in TaskState if it is not TaskState.DONE]
        parts += [
            (tasks.c.state == it,) for it in wanted if it in (which.states or wanted)
        ]
    return parts or [(sa.false(),)]


def unfinished(tx: Transaction, command: str, kind: str, object_id: str) -> bool:
    """True while such a command about the object has not ended."""
    query = sa.select(tasks.c.id).where(
        tasks.c.object_kind == kind,
        tasks.c.object_id == object_id,
        tasks.c.command == command,
        tasks.c.finished_at.is_(None),
    )
    return tx.execute(query.limit(1)).first() is not None


def count_needing(tx: Transaction) -> int:
    """How many roots wait for a person to decide something about them."""
    query = sa.select(sa.func.count()).select_from(_held_roots().subquery())
    return int(tx.execute(query).scalar_one())


def _held_roots() -> sa.Select[Any]:
    """Roots of what is held, but for what a person has decided and is being checked."""
    decided = sa.exists().where(
        placeholders.c.task_id == tasks.c.id,
        placeholders.c.state == PlaceholderState.HELD,
        placeholders.c.decision.is_not(None),
    )
    # A range, so that a store that was measured while nothing was held uses the index.
    is_held = tasks.c.state.between(TaskState.HELD, TaskState.HELD)
    held = sa.select(tasks.c.root_id).where(is_held, ~decided)
    return held.distinct()


def _conditions(which: TaskFilter, now: datetime) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if which.parent:
        found.append(tasks.c.parent_id == which.parent)
    elif which.object_id and not which.children_too:
        found.append(first_on_object())
    elif not which.children_too:
        found.append(tasks.c.parent_id.is_(None))
    equal = (
        (tasks.c.command, which.command),
        (tasks.c.object_kind, which.object_kind),
        (tasks.c.object_id, which.object_id),
        (tasks.c.owner, which.owner),
        (tasks.c.zone, which.zone),
    )
    found.extend(column == value for column, value in equal if value)
    if which.needs_person:
        found.append(tasks.c.root_id.in_(_held_roots()))
    if which.states:
        found.append(tasks.c.state.in_(which.states))
    if which.outcomes:
        found.append(tasks.c.outcome.in_(which.outcomes))
    found.extend(_in_time(which, now))
    if which.before:
        found.append(tasks.c.id < which.before)
    if which.after:
        found.append(tasks.c.id > which.after)
    return found


def first_on_object() -> sa.ColumnElement[bool]:
    """All that was done to an object, without the parts of it: roots, and children of
    what is about something else, such as one VM's turn in a plan for many."""
    parent = tasks.alias()
    whole = sa.exists().where(
        parent.c.id == tasks.c.parent_id,
        parent.c.object_kind == tasks.c.object_kind,
        parent.c.object_id == tasks.c.object_id,
    )
    return ~whole


def _in_time(which: TaskFilter, now: datetime) -> Iterator[sa.ColumnElement[bool]]:
    """What was asked for in a time. An id tells nearly when it was made, by the clock
    of the host that made it: so the list begins near there, and the store's own time
    decides. Where the clocks are far apart, it is read from its end."""
    skewed = abs(datetime.now(UTC) - now) > CLOCKS_AGREE / 2
    by_id = not (skewed or which.parent or which.children_too)
    first, last = which.created_from, which.created_before
    if first is not None:
        yield tasks.c.created_at >= first
        if by_id:
            yield tasks.c.id >= first_id(max(first, _FIRST) - CLOCKS_AGREE)
    if last is not None:
        yield tasks.c.created_at < last
        if by_id:
            yield tasks.c.id < first_id(min(last, _LAST) + CLOCKS_AGREE)


def _words(text: str) -> list[sa.ColumnElement[bool]]:
    return [
        sa.or_(
            tasks.c.title.icontains(word, autoescape=True),
            tasks.c.message.icontains(word, autoescape=True),
        )
        for word in words_of(text)
    ]


def faces(
    tx: Transaction, shown: Sequence[Task], *, paces: Paces | None = None
) -> list[TaskFace]:
    """What to show of many tasks. With `paces` also what those want to know who wait:
    the place in the queue, and what past runs took."""
    names = _names(tx, shown)
    reasons = waiting_for(tx, shown, places=paces is not None)
    retries = _retries(tx, shown)
    expected = paces.expected(tx, shown) if paces is not None else {}
    made = (
        _face(task, names, reasons.get(task.id), retries.get(task.id)) for task in shown
    )
    return [replace(it, expected=expected.get(it.id)) for it in made]


def face(tx: Transaction, task: Task, paces: Paces | None = None) -> TaskFace:
    """What to show of one task. Who asks often brings the `paces` that it keeps."""
    return faces(tx, [task], paces=paces or Paces())[0]


def _face(
    task: Task,
    names: Mapping[tuple[str, str], str],
    reason: WaitingFor | None,
    retried_by: str | None,
) -> TaskFace:
    subject = None
    if task.object_kind and task.object_id:
        key = (task.object_kind, task.object_id)
        subject = ObjectRef(*key, name=names.get(key, task.object_id))
    return TaskFace(
        id=task.id,
        command=task.command,
        title=task.title,
        state=task.state,
        outcome=task.outcome,
        progress=task.progress,
        message=task.message,
        result=task.result,
        error=task.error,
        object=subject,
        user=task.owner,
        parent=task.parent_id,
        root=task.root_id,
        provider=task.provider_id,
        zone=task.zone,
        role=task.role,
        attempt=task.attempt,
        undoes=task.undoes_id,
        retry_of=task.retry_of,
        retried_by=retried_by,
        cancelled_by=task.cancelled_by,
        waiting_for=reason,
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        version=task.version,
        stoppable=task.stoppable,
        tries=tries_of(task),
    )


def _retries(tx: Transaction, shown: Sequence[Task]) -> dict[str, str]:
    """Task → the newest task that tries it again."""
    ended = [task.id for task in shown if task.done and task.is_root]
    if not ended:
        return {}
    query = sa.select(tasks.c.retry_of, sa.func.max(tasks.c.id).label("newest"))
    query = query.where(tasks.c.retry_of.in_(ended)).group_by(tasks.c.retry_of)
    return {row.retry_of: row.newest for row in tx.execute(query)}


def _names(tx: Transaction, shown: Sequence[Task]) -> dict[tuple[str, str], str]:
    tables = {
        "vm": vms,
        "provider": providers,
        "template": templates,
        "orphan": orphans,
    }
    names: dict[tuple[str, str], str] = {}
    for kind, table in tables.items():
        ids = {t.object_id for t in shown if t.object_kind == kind and t.object_id}
        if not ids:
            continue
        query = sa.select(table.c.id, table.c.name).where(table.c.id.in_(ids))
        names.update({(kind, row.id): row.name for row in tx.execute(query)})
    return names
