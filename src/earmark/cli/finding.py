"""Finding a task by what a person types of its id."""

import re

import sqlalchemy as sa

from earmark.domain.errors import BadInput, UnknownName
from earmark.domain.task import Task
from earmark.store import tasks as store
from earmark.store.database import Transaction
from earmark.store.schema import tasks as task_table

_SHORTEST = 6


def find(tx: Transaction, ref: str) -> Task:
    """A task by its id, or by a beginning or end of it that no other has.

    Raises `UnknownName`, and `BadInput` when several tasks fit.
    """
    exact = store.find(tx, ref)
    if exact is not None:
        return exact
    if len(ref) < _SHORTEST or not re.fullmatch("[0-9a-f-]+", ref):
        raise UnknownName(
            f"There is no task {ref!r}.",
            hint=f"Give the id or at least {_SHORTEST} characters of its beginning or "
            "end; see `earmark tasks ls`.",
        )
    query = sa.select(task_table.c.id).where(
        sa.or_(task_table.c.id.startswith(ref), task_table.c.id.endswith(ref))
    )
    ids = tx.execute(query.limit(2)).scalars().all()
    if len(ids) > 1:
        raise BadInput(
            f"More than one task's id begins or ends with {ref!r}.",
            hint="Give more of it; its last characters tell tasks apart best.",
        )
    return store.get(tx, ids[0] if ids else ref)
