"""Enqueue: somebody asks for a command, and it is written down.

One transaction: references resolved, `check` asked, secrets sealed, the task `queued`,
the idempotency key taken, the audit row. Nothing is sent here; whoever asked can go.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from earmark.domain.command import Command, ExternalJob
from earmark.domain.errors import KeyReused, Rejected
from earmark.domain.ids import new_id
from earmark.domain.secret import Secret
from earmark.domain.states import TaskState
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import describe
from earmark.engine.house_tx import HouseTx
from earmark.engine.runtime import Engine
from earmark.engine.seal import seal
from earmark.engine.tx import EngineTx, Names
from earmark.store import dialect, journal, tasks
from earmark.store.database import Transaction
from earmark.store.schema import idempotency, tombstones
from earmark.store.schema import tasks as task_table

T = TypeVar("T")
KEY_LIFE = timedelta(hours=24)


def open_tx(engine: Engine, tx: Transaction, task: Task | None = None) -> HouseTx:
    """The `tx` to hand to a command's methods."""
    return HouseTx(engine, tx, task, enqueue)


def transact(engine: Engine, work: Callable[[HouseTx], T]) -> T:
    """Run `work` in one transaction, with all that can be done in it."""
    return engine.write(lambda tx: work(open_tx(engine, tx)))


def enqueue(
    tx: EngineTx,
    command: Command[Any],
    *,
    owner: str = LOCAL_OWNER,
    key: str | None = None,
    priority: int | None = None,
    retry_of: str | None = None,
) -> Task:
    """Queue a command and return its task.

    `key`: the same owner's same key returns the first request's task (rule 20); with
    another request it raises `KeyReused`. Raises `BadInput` for references to nothing
    and whatever the command's `check` raises; then nothing was written.
    """
    asked = fingerprint(command)
    if key is not None:
        # Before names are resolved: what they named may be gone since the first time.
        earlier = _earlier(tx, asked, owner, key)
        if earlier is not None:
            return earlier
    task_id, names = new_id(), Names(tx.store)
    command = describe.resolve(names, command)
    command.check(tx)
    command = seal(tx, command, task_id)
    row = describe.row(
        tx,
        names,
        command,
        task_id=task_id,
        owner=owner,
        priority=describe.NORMAL_PRIORITY if priority is None else priority,
    )
    if isinstance(command, ExternalJob) and row["provider_id"] is not None:
        # Said now rather than by a failed task: this kind of provider cannot do it.
        provider = names.provider(row["provider_id"])
        tx.engine.operation(provider, command.operation)
    row |= {"state": TaskState.QUEUED, "retry_of": retry_of}
    tasks.insert(tx.store, [row])
    if key is not None:
        _remember(tx, asked, owner, key, task_id)
    journal.log(tx.store, task_id, f"Queued in zone {row['zone']} by {owner}.")
    journal.note(tx.store, owner, "enqueue", task_id, command=row["command"])
    return tasks.get(tx.store, task_id)


def asked_before(tx: Transaction, owner: str, key: str) -> Task | None:
    """The task that the owner's key has made, if it has."""
    task_id = tx.execute(
        sa.select(idempotency.c.task_id).where(
            idempotency.c.owner == owner, idempotency.c.key == key
        )
    ).scalar_one_or_none()
    return tasks.find(tx, task_id) if task_id else None


def fingerprint(command: Command[Any]) -> str:
    """What makes two requests, as they came, the same. Secrets are left out: a hash of
    a weak secret would tell it."""

    def plain(value: Any) -> Any:
        return "secret" if isinstance(value, Secret) else str(value)

    fields = {name: getattr(command, name) for name in type(command).model_fields}
    body = [type(command).__name__, command.version, fields]
    text = json.dumps(body, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()


def asked_for(
    tx: EngineTx, command: Command[Any], task: Task, *, owner: str, key: str
) -> Task:
    """Somebody asks with this key for what is under way already: the key is that task's
    too, so that asked again after its end it makes no other (rule 20). Raises
    `KeyReused` as `enqueue` does."""
    asked = fingerprint(command)
    earlier = _earlier(tx, asked, owner, key)
    if earlier is None:
        _remember(tx, asked, owner, key, task.id)
    return earlier or task


def forget_old_keys(tx: Transaction) -> None:
    """Forget the keys of tasks that ended a day ago: a repeat of such a request is a
    new one (rule 20)."""
    old = sa.select(task_table.c.id).where(
        task_table.c.id == idempotency.c.task_id,
        task_table.c.finished_at < tx.now - KEY_LIFE,
    )
    tx.execute(sa.delete(idempotency).where(old.exists()))
    kept = sa.select(task_table.c.id).where(task_table.c.id == idempotency.c.task_id)
    # A deleted one's tombstone tells when it ended.
    recent = sa.select(tombstones.c.token).where(
        tombstones.c.token == idempotency.c.task_id,
        tombstones.c.at >= tx.now - KEY_LIFE,
    )
    deleted = sa.delete(idempotency).where(
        idempotency.c.created_at < tx.now - KEY_LIFE, ~kept.exists(), ~recent.exists()
    )
    tx.execute(deleted)


def _earlier(tx: EngineTx, asked: str, owner: str, key: str) -> Task | None:
    dialect.lock_names(tx.store.connection, [f"idempotency:{owner}:{key}"])
    seen = tx.store.execute(
        sa.select(idempotency).where(
            idempotency.c.owner == owner, idempotency.c.key == key
        )
    ).one_or_none()
    if seen is None:
        return None
    if seen.body_hash != asked:
        raise KeyReused(
            "This idempotency key was used before, for a different request.",
            hint="Use a new key for a new request.",
        )
    earlier = tasks.find(tx.store, seen.task_id)
    if earlier is None:
        raise Rejected(
            "This was asked for before; its task has ended, and was deleted since.",
            hint="Use a new key to ask for it anew.",
            code="deleted",
        )
    return earlier


def _remember(tx: EngineTx, asked: str, owner: str, key: str, task_id: str) -> None:
    tx.store.execute(
        sa.insert(idempotency).values(
            owner=owner,
            key=key,
            body_hash=asked,
            task_id=task_id,
            created_at=tx.now,
        )
    )
