"""Relations: what tasks have to do with others, read once for many of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.domain.task import Placeholder, Task
from earmark.store.database import Transaction
from earmark.store.schema import providers, tasks

#: Waiting for somebody else: children, a provider, a lock.
RESTING = (TaskState.WAITING, TaskState.CANCELLING, TaskState.UNDOING)


def provider_names(
    tx: Transaction, effects: Iterable[Placeholder], shown: Iterable[Task]
) -> Mapping[str, str]:
    """Provider → name, of what was promised there and of tasks that run."""
    ids = {effect.provider_id for effect in effects}
    ids |= {t.provider_id for t in shown if t.provider_id and t.state == "running"}
    if not ids:
        return {}
    query = sa.select(providers.c.id, providers.c.name).where(providers.c.id.in_(ids))
    return {row.id: row.name for row in tx.execute(query)}


def open_children(
    tx: Transaction, shown: Sequence[Task]
) -> Mapping[str, tuple[int, int, datetime]]:
    """Parent → how many of its children have not ended, how many there are, and when
    the first was planned; of one that undoes, of the steps of that."""
    ids = [t.id for t in shown if t.state in RESTING]
    undoing = [t.id for t in shown if t.state is TaskState.UNDOING]
    if not ids:
        return {}
    is_open = sa.case((tasks.c.state != TaskState.DONE, 1), else_=0)
    query = (
        sa.select(
            tasks.c.parent_id,
            sa.func.sum(is_open).label("left"),
            sa.func.count().label("total"),
            sa.func.min(tasks.c.created_at).label("began"),
        )
        .where(
            tasks.c.parent_id.in_(ids),
            sa.or_(tasks.c.undoes_id.is_not(None), tasks.c.parent_id.not_in(undoing)),
        )
        .group_by(tasks.c.parent_id)
    )
    return {
        r.parent_id: (int(r.left), int(r.total), r.began) for r in tx.execute(query)
    }


def held_parts(
    tx: Transaction, roots: Collection[str]
) -> Mapping[str, tuple[str, datetime]]:
    """Root → title of what is held of its family, and since when."""
    if not roots:
        return {}
    query = sa.select(tasks.c.root_id, tasks.c.title, tasks.c.updated_at).where(
        tasks.c.root_id.in_(roots), tasks.c.state == TaskState.HELD
    )
    return {r.root_id: (r.title, r.updated_at) for r in tx.execute(query)}
