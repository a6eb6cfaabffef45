"""The queue: the tasks in state `queued`, claimed in batches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.domain.task import Task
from earmark.store import dialect
from earmark.store.columns import UtcDateTime
from earmark.store.database import Transaction
from earmark.store.schema import tasks
from earmark.store.tasks import from_row, select_tasks
from earmark.store.wakeups import Topic

ANY_ROLE = "*"
#: How far a place in a line is counted; behind that it is only said to be far.
LINE = 1000
_FIELDS = list(select_tasks().selected_columns)


@dataclass(frozen=True, slots=True)
class Appetite:
    """What a worker can take: its zone, its roles, the commands that it knows."""

    zone: str
    roles: tuple[str, ...]
    known: tuple[tuple[str, int], ...]


def _claimable(appetite: Appetite, now: datetime) -> sa.ColumnElement[bool]:
    # The state is a literal, so that the planner can use the partial index. The time is
    # wrapped, so that it does not take the one by time, and then sort the whole queue.
    not_before = sa.func.coalesce(tasks.c.run_after, tasks.c.created_at)
    conditions: list[sa.ColumnElement[bool]] = [
        sa.literal_column("state") == sa.literal_column("'queued'"),
        tasks.c.zone == appetite.zone,
        not_before <= now,
        sa.tuple_(tasks.c.command, tasks.c.command_version).in_(appetite.known),
    ]
    if ANY_ROLE not in appetite.roles:
        conditions.append(tasks.c.role.in_(appetite.roles))
    return sa.and_(*conditions)


def anything_for(tx: Transaction, appetite: Appetite) -> bool:
    """A cheap look, so that an idle worker takes no write lock."""
    # In the claim's order, so that the planner takes the claim's index.
    query = sa.select(tasks.c.id).where(_claimable(appetite, tx.now))
    query = query.order_by(tasks.c.priority, tasks.c.id).limit(1)
    return tx.execute(query).first() is not None


def chosen(appetite: Appetite, now: datetime, limit: int) -> sa.Select[Any]:
    """SELECT of what a claim takes; what others are just claiming is passed by."""
    return dialect.for_update(
        sa.select(tasks.c.id)
        .where(_claimable(appetite, now))
        .order_by(tasks.c.priority, tasks.c.id)
        .limit(limit),
        skip_locked=True,
    )


def claim(
    tx: Transaction, appetite: Appetite, worker_id: str, limit: int, deadline: datetime
) -> list[Task]:
    """Take up to `limit` tasks: by priority, then by age. Never one that another has.

    Each becomes `running` with a new attempt, owned by the worker until `deadline`.
    """
    ids = tx.execute(chosen(appetite, tx.now, limit)).scalars().all()
    if not ids:
        return []
    rows = tx.execute(
        sa.update(tasks)
        .where(tasks.c.id.in_(ids), tasks.c.state == TaskState.QUEUED)
        .values(
            state=TaskState.RUNNING,
            attempt=tasks.c.attempt + 1,
            worker_id=worker_id,
            deadline_at=deadline,
            started_at=sa.func.coalesce(
                tasks.c.started_at, sa.bindparam("began", tx.now, UtcDateTime())
            ),
            version=tasks.c.version + 1,
            updated_at=tx.now,
        )
        .returning(*_FIELDS)
    ).all()
    tx.wake(Topic.CHANGES)
    return sorted((from_row(row) for row in rows), key=lambda t: (t.priority, t.id))


def next_due(tx: Transaction, appetite: Appetite) -> datetime | None:
    """When the next task that waits for a later time can be claimed."""
    later: datetime | None = tx.execute(
        sa.select(sa.func.min(tasks.c.run_after)).where(
            sa.literal_column("state") == sa.literal_column("'queued'"),
            tasks.c.zone == appetite.zone,
            tasks.c.run_after > tx.now,
        )
    ).scalar_one()
    return later


def places(
    tx: Transaction, lines: Mapping[tuple[str, str], tuple[str, ...]]
) -> dict[str, int]:
    """Task → how many are claimed before it, of the lines of these zones and roles. A
    line is given with the roles whose tasks stand in it, its own among them, or
    `ANY_ROLE`. Behind the first `LINE` of a line there are no places; what is not due
    has none either."""
    not_before = sa.func.coalesce(tasks.c.run_after, tasks.c.created_at)
    # One for each zone and set of roles: where all workers do all, many are one.
    shared = sorted({(zone, roles) for (zone, _), roles in lines.items()})
    if not shared:
        return {}
    heads = []
    for number, (zone, roles) in enumerate(shared):
        conditions = [
            # As a claim says it, so that the planner takes the claim's index.
            sa.literal_column("state") == sa.literal_column("'queued'"),
            tasks.c.zone == zone,
            not_before <= tx.now,
        ]
        if ANY_ROLE not in roles:
            conditions.append(tasks.c.role.in_(roles))
        head = (
            sa.select(tasks.c.role, tasks.c.priority, tasks.c.id)
            .where(*conditions)
            .order_by(tasks.c.priority, tasks.c.id)
            .limit(LINE)
            .subquery()
        )
        line = sa.literal_column(str(number), sa.Integer).label("line")
        heads.append(sa.select(line, head))
    found: dict[str, int] = {}
    before: Counter[int] = Counter()
    rows = tx.execute(sa.union_all(*heads)).all()
    for row in sorted(rows, key=lambda row: (row.priority, row.id)):
        zone, roles = shared[row.line]
        if lines.get((zone, row.role)) == roles:
            found[row.id] = before[row.line]
        before[row.line] += 1
    return found


def depths(tx: Transaction) -> Sequence[Any]:
    """Per zone and role: how many are queued and since when the oldest."""
    return tx.execute(
        sa.select(
            tasks.c.zone,
            tasks.c.role,
            sa.func.count().label("depth"),
            sa.func.min(tasks.c.created_at, type_=UtcDateTime()).label("oldest"),
        )
        .where(tasks.c.state == TaskState.QUEUED)
        .group_by(tasks.c.zone, tasks.c.role)
        .order_by(tasks.c.zone, tasks.c.role)
    ).all()
