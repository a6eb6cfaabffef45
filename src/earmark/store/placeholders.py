"""Placeholders: promised external effects. Writes are fenced by version, and the
sender's own by its nonce (rule 5)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.connector import EffectClass
from earmark.domain.errors import Stale
from earmark.domain.ids import new_id
from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    PLACEHOLDER_MOVES,
    PlaceholderState,
    check,
)
from earmark.domain.task import Placeholder, Task
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import evidence, placeholders, tasks
from earmark.store.wakeups import Topic

_FIELDS = [placeholders.c[name] for name in Placeholder.__slots__]
#: Of one task. Built once: every step reads it.
_NEWEST = (
    sa.select(*_FIELDS)
    .where(placeholders.c.task_id == sa.bindparam("task"))
    .order_by(placeholders.c.id.desc())
    .limit(1)
)
_CHECKED = (PlaceholderState.BOUND, PlaceholderState.IN_DOUBT)
#: As literal text, so that SQLite can match the partial index. What is cleared to be
#: sent again waits for a worker, not for a check.
_CHECKABLE = sa.text(
    "earmark_placeholders.state IN ('bound', 'in_doubt', 'held')"
    " AND earmark_placeholders.next_check_at IS NOT NULL"
)


def from_row(row: sa.Row[Any]) -> Placeholder:
    """Make a `Placeholder` of a row that has all its columns."""
    values = dict(row._mapping)
    values["state"] = PlaceholderState(values["state"])
    return Placeholder(**values)


def insert(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert new placeholders in state `planned`."""
    defaults = {
        "state": PlaceholderState.PLANNED,
        "external_id": None,
        "nonce": None,
        "version": 1,
        "request": None,
        "resend": False,
        "first_sent_at": None,
        "doubt_since": None,
        "next_check_at": None,
        "checks": 0,
        "errors": 0,
        "stoppable": False,
        "undoable": False,
        "cancel_asked_at": None,
        "seen_before": None,
        "decision": None,
        "ended_well": None,
        "result": None,
        "undone_at": None,
        "replaces_id": None,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    if rows:
        tx.execute(sa.insert(placeholders), [defaults | dict(row) for row in rows])


def get(tx: Transaction, placeholder_id: str) -> Placeholder:
    """The placeholder of that id; it must exist."""
    query = sa.select(*_FIELDS).where(placeholders.c.id == placeholder_id)
    return from_row(tx.execute(query).one())


def of_task(tx: Transaction, task_id: str) -> Placeholder | None:
    """The newest placeholder of a task: the one that counts."""
    row = tx.execute(_NEWEST, {"task": task_id}).one_or_none()
    return from_row(row) if row else None


def of_tasks(tx: Transaction, task_ids: Iterable[str]) -> dict[str, Placeholder]:
    """The newest placeholder of each of many tasks."""
    query = (
        sa.select(*_FIELDS)
        .where(placeholders.c.task_id.in_(list(task_ids)))
        .order_by(placeholders.c.id)
    )
    return {row.task_id: from_row(row) for row in tx.execute(query)}


def all_of_tasks(tx: Transaction, task_ids: Iterable[str]) -> list[Placeholder]:
    """Every placeholder of these tasks, the replaced ones too, in their order."""
    query = sa.select(*_FIELDS).where(placeholders.c.task_id.in_(list(task_ids)))
    query = query.order_by(placeholders.c.task_id, placeholders.c.id)
    return [from_row(row) for row in tx.execute(query)]


def move(
    tx: Transaction, placeholder: Placeholder, to: PlaceholderState, **values: Any
) -> Placeholder:
    """Change the state, if nobody has written since it was read; else `Stale`."""
    check(PLACEHOLDER_MOVES, placeholder.state, to)
    return _update(
        tx,
        placeholder.id,
        placeholders.c.version == placeholder.version,
        state=to,
        **values,
    )


def move_sent(
    tx: Transaction,
    placeholder_id: str,
    nonce: str,
    to: PlaceholderState,
    **values: Any,
) -> Placeholder:
    """The sender's own move out of `sending`: fenced by its nonce alone, so that
    nothing written meanwhile fences out a bind. Raises `Stale` once it is in doubt."""
    check(PLACEHOLDER_MOVES, PlaceholderState.SENDING, to)
    return _update(
        tx,
        placeholder_id,
        sa.and_(
            placeholders.c.nonce == nonce,
            placeholders.c.state == PlaceholderState.SENDING,
        ),
        state=to,
        **values,
    )


def change(tx: Transaction, placeholder: Placeholder, **values: Any) -> Placeholder:
    """Change other columns than the state, under the version fence."""
    return _update(
        tx, placeholder.id, placeholders.c.version == placeholder.version, **values
    )


def _update(
    tx: Transaction, placeholder_id: str, fence: sa.ColumnElement[bool], **values: Any
) -> Placeholder:
    row = tx.execute(
        sa.update(placeholders)
        .where(placeholders.c.id == placeholder_id, fence)
        .values(version=placeholders.c.version + 1, updated_at=tx.now, **values)
        .returning(*_FIELDS)
    ).one_or_none()
    if row is None:
        raise Stale(f"Placeholder {placeholder_id} moved on meanwhile.")
    tx.wake(Topic.CHANGES)
    if row.next_check_at is not None:
        tx.wake(Topic.CHECKS)
    return from_row(row)


def due(
    tx: Transaction,
    provider_id: str,
    state: PlaceholderState,
    known: Iterable[tuple[str, int]],
    limit: int,
) -> list[Placeholder]:
    """What is to be polled (`bound`) or probed (`in_doubt`) at a provider now, of the
    commands that the caller knows (rule 19)."""
    query = (
        sa.select(*_FIELDS)
        .join(tasks, tasks.c.id == placeholders.c.task_id)
        .where(
            _CHECKABLE,
            placeholders.c.provider_id == provider_id,
            placeholders.c.state == state,
            placeholders.c.next_check_at <= tx.now,
            sa.tuple_(tasks.c.command, tasks.c.command_version).in_(list(known)),
        )
        .order_by(placeholders.c.next_check_at)
        .limit(limit)
    )
    return [from_row(row) for row in tx.execute(query)]


def next_due(
    tx: Transaction, provider_id: str, known: Iterable[tuple[str, int]]
) -> datetime | None:
    """When the next poll or probe at a provider is due, of the commands known."""
    when: datetime | None = tx.execute(
        sa.select(placeholders.c.next_check_at)
        .join(tasks, tasks.c.id == placeholders.c.task_id)
        .where(
            _CHECKABLE,
            placeholders.c.provider_id == provider_id,
            sa.tuple_(tasks.c.command, tasks.c.command_version).in_(list(known)),
        )
        # Not `min`: in this order the index gives the first, and the rest is not read.
        .order_by(placeholders.c.next_check_at)
        .limit(1)
    ).scalar_one_or_none()
    return when


def postpone(tx: Transaction, ids: Iterable[str], until: datetime) -> None:
    """Set the next check of many; a hint to pollers, so it needs no fence. What another
    is just changing is passed by: many rows in no order, it must wait for none."""
    free = dialect.for_update(
        sa.select(placeholders.c.id).where(
            placeholders.c.id.in_(list(ids)), placeholders.c.state.in_(_CHECKED)
        ),
        skip_locked=True,
    )
    tx.execute(
        sa.update(placeholders)
        .where(placeholders.c.id.in_(free))
        .values(next_check_at=until)
    )


def drop_planned(tx: Transaction, task_ids: Sequence[str]) -> None:
    """`planned` → `dropped`, for locked tasks of which nothing was ever sent."""
    tx.execute(
        sa.update(placeholders)
        .where(
            placeholders.c.task_id.in_(task_ids),
            placeholders.c.state == PlaceholderState.PLANNED,
        )
        .values(
            state=PlaceholderState.DROPPED,
            version=placeholders.c.version + 1,
            updated_at=tx.now,
        )
    )


def hurry(tx: Transaction, task_id: str) -> None:
    """Look at what is open of a task at once; a hint to pollers, so it needs no
    fence. What was cleared to be sent again waits for a worker, not for a look."""
    tx.execute(
        sa.update(placeholders)
        .where(
            placeholders.c.task_id == task_id,
            placeholders.c.state.in_(_CHECKED),
            placeholders.c.resend.is_(False),
        )
        .values(next_check_at=tx.now)
    )
    tx.wake(Topic.CHECKS)


def look_again(tx: Transaction, placeholder_id: str, *, named: bool) -> None:
    """A late answer came: look at once, and if it `named` the provider's handle, also
    at what waits for a worker or for a person. A hint to pollers: no fence."""
    waits = placeholders.c.resend.is_(True)
    states = (*_CHECKED, PlaceholderState.HELD) if named else _CHECKED
    tx.execute(
        sa.update(placeholders)
        .where(
            placeholders.c.id == placeholder_id,
            placeholders.c.state.in_(states),
            sa.true() if named else sa.not_(waits),
        )
        .values(next_check_at=tx.now)
    )
    tx.wake(Topic.CHECKS)


def open_of_root(tx: Transaction, root_id: str) -> list[Placeholder]:
    """Every effect of a root that may be going on at its provider; that is also what
    a person had sent again, not knowing what became of the first request."""
    again = sa.and_(
        placeholders.c.state == PlaceholderState.PLANNED,
        placeholders.c.doubt_since.is_not(None),
    )
    query = sa.select(*_FIELDS).where(
        placeholders.c.root_id == root_id,
        sa.or_(placeholders.c.state.in_(OPEN_AT_PROVIDER), again),
    )
    return [from_row(row) for row in tx.execute(query)]


def bound_to(tx: Transaction, effect: Placeholder, handle: str) -> str | None:
    """The task of another effect of the same operation that has the handle, if any."""
    query = sa.select(placeholders.c.task_id).where(
        placeholders.c.provider_id == effect.provider_id,
        placeholders.c.operation == effect.operation,
        placeholders.c.external_id == handle,
        placeholders.c.id != effect.id,
        placeholders.c.effect != EffectClass.ABSOLUTE,
    )
    return tx.execute(query.limit(1)).scalar_one_or_none()


def another_sending(tx: Transaction, effect: Placeholder) -> bool:
    """True while another effect of the same root and operation is just being sent: what
    it has made may be there already, and not be bound yet."""
    query = sa.select(placeholders.c.id).where(
        placeholders.c.root_id == effect.root_id,
        placeholders.c.provider_id == effect.provider_id,
        placeholders.c.operation == effect.operation,
        placeholders.c.state == PlaceholderState.SENDING,
        placeholders.c.id != effect.id,
    )
    return tx.execute(query.limit(1)).first() is not None


def ever_sent(tx: Transaction, task: Task) -> bool:
    """True when an effect of the task, or of any task of its root if it is one, may
    ever have been asked for."""
    mine = placeholders.c.root_id if task.is_root else placeholders.c.task_id
    query = sa.select(placeholders.c.id).where(
        mine == task.id, placeholders.c.first_sent_at.is_not(None)
    )
    return tx.execute(query.limit(1)).first() is not None


def witness(
    tx: Transaction,
    placeholder_id: str,
    kind: str,
    text: str,
    *,
    nonce: str | None = None,
    external_id: str | None = None,
) -> None:
    """Insert evidence; never fenced, since a late answer is still an answer."""
    tx.execute(
        sa.insert(evidence).values(
            id=new_id(),
            placeholder_id=placeholder_id,
            at=tx.now,
            kind=kind,
            nonce=nonce,
            external_id=external_id,
            text=text[:2000],
        )
    )


def unwitness_repeated(tx: Transaction, placeholder_id: str, nonce: str) -> None:
    """Delete the evidence of a send that provably did not leave, if an earlier one came
    to the same: what is tried for days says so once."""
    all_of_it = evidence.c.placeholder_id == placeholder_id
    not_sent = sa.select(evidence.c.nonce, evidence.c.text).where(
        all_of_it, evidence.c.kind == "not-sent"
    )
    said = {row.nonce: row.text for row in tx.execute(not_sent)}
    if said.pop(nonce) in said.values():
        tx.execute(sa.delete(evidence).where(all_of_it, evidence.c.nonce == nonce))


def evidence_of(tx: Transaction, placeholder_id: str) -> Sequence[sa.Row[Any]]:
    """Everything seen of one effect, oldest first."""
    query = (
        sa.select(evidence)
        .where(evidence.c.placeholder_id == placeholder_id)
        .order_by(evidence.c.id)
    )
    return tx.execute(query).all()


def late_handle(tx: Transaction, placeholder_id: str) -> str | None:
    """The handle that a late answer of one of our own sends named, if any did."""
    handle: str | None = tx.execute(
        sa.select(evidence.c.external_id)
        .where(
            evidence.c.placeholder_id == placeholder_id,
            evidence.c.kind == "late",
            evidence.c.external_id.is_not(None),
        )
        .order_by(evidence.c.id)
        .limit(1)
    ).scalar_one_or_none()
    return handle
