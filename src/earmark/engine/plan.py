"""Plan: the whole promise is written down before anything is sent.

One transaction: the root's locks, `check` again under them, **every** child and
**every** placeholder (invariant 6). What comes later only fills in what is here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from earmark.domain.command import Child, Command, Composite, ExternalJob
from earmark.domain.errors import BadInput, Locked
from earmark.domain.ids import new_id
from earmark.domain.lock import Lock
from earmark.domain.states import PlaceholderState, Step, TaskState
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.authored import in_tx
from earmark.engine.boundary import boundary
from earmark.engine.enqueue import open_tx
from earmark.engine.runtime import Engine
from earmark.engine.settle import Stopped
from earmark.engine.tx import EngineTx
from earmark.store import inventory, journal, locks, placeholders, tasks
from earmark.store.database import Transaction


def plan(engine: Engine, claimed: Task, command: Command[Any]) -> Task:
    """Write the plan of a claimed task; returns the task as it is afterwards.

    A composite is `waiting` then and holds no worker; others go on `running`. Raises
    `Locked`, what `check` or `children` raise, or `Stale`; then nothing was written.
    """

    def work(tx: Transaction) -> Task:
        tasks.lock_family(tx, claimed.id)
        task = tasks.change(tx, claimed)
        effect = placeholders.of_task(tx, task.id)
        if task.stop_requested and (
            effect is None or effect.state is PlaceholderState.PLANNED
        ):
            raise Stopped
        author = open_tx(engine, tx, task)
        if effect is not None:
            # Promised before, by an earlier attempt or by the parent's plan: its
            # locks are held, and `check` was asked when it could still refuse.
            return task
        if task.is_root:
            _lock(tx, task, command.locks())
            in_tx(lambda: command.check(author))
        if isinstance(command, ExternalJob):
            row = {name: getattr(task, name) for name in Task.__slots__}
            placeholders.insert(tx, [_placeholder(author, row, command)])
        elif isinstance(command, Composite):
            return _plan_composite(author, task, command)
        return task

    planned = engine.write(work)
    boundary("plan.committed")
    return planned


def _lock(tx: Transaction, task: Task, wanted: Iterable[Lock]) -> None:
    holder = locks.take(tx, task.root_id, list(wanted))
    if holder is not None:
        raise Locked(
            f"{_said(holder.kind)} {_name(tx, holder.kind, holder.name)} is locked by "
            f"“{holder.title}” (task {holder.id}).",
            hint="Wait for that task to end, then ask again.",
        )


def _said(kind: str) -> str:
    return "VM" if kind == "vm" else kind.replace("-", " ").capitalize()


def _name(tx: Transaction, kind: str, name: str) -> str:
    known = kind in ("vm", "provider", "template")
    return inventory.name_of(tx, kind, name) if known else name


def _placeholder(
    author: EngineTx, row: Mapping[str, Any], command: ExternalJob[Any]
) -> dict[str, Any]:
    if row["provider_id"] is None:
        raise BadInput(f"{type(command).__name__} names no provider to send to.")
    provider = inventory.provider(author.store, row["provider_id"])
    operation = author.engine.operation(provider, command.operation)
    return {
        "id": new_id(),
        "task_id": row["id"],
        "root_id": row["root_id"],
        "provider_id": provider.id,
        "operation": operation.name,
        "effect": operation.effect,
    }


def _plan_composite(author: EngineTx, task: Task, command: Composite[Any]) -> Task:
    tx = author.store
    promised = _Promised(author)
    row = {name: getattr(task, name) for name in Task.__slots__}
    count = promised.add_children(row, command)
    _lock(tx, task, promised.locks)
    tasks.insert(tx, promised.tasks)
    placeholders.insert(tx, promised.effects)
    tasks.needs(tx, promised.needs)
    journal.log(
        tx,
        task.id,
        f"Planned {len(promised.tasks)} tasks with {len(promised.effects)} effects; "
        f"all are promised now, none is sent yet.",
    )
    if not count:
        return tasks.move(tx, task, TaskState.QUEUED, step=Step.FINISH)
    return tasks.move(tx, task, TaskState.WAITING, pending=count, deadline_at=None)


class _Promised:
    """The rows of a plan, gathered before any of them is written."""

    def __init__(self, author: EngineTx) -> None:
        self.author = author
        self.tasks: list[dict[str, Any]] = []
        self.effects: list[dict[str, Any]] = []
        self.needs: list[tuple[str, str]] = []
        self.locks: list[Lock] = []

    def add_children(self, parent: Mapping[str, Any], command: Composite[Any]) -> int:
        """Add a composite's children, and theirs; returns how many it has."""
        plan_of = checked_plan(command, in_tx(lambda: command.children(self.author)))
        ids = {key: new_id() for key in plan_of}
        for key, child in plan_of.items():
            self._add(parent, key, child, ids)
        return len(plan_of)

    def _add(
        self, parent: Mapping[str, Any], key: str, child: Child, ids: dict[str, str]
    ) -> None:
        command = describe.resolve(self.author, child.command)
        in_tx(lambda: command.check(self.author))
        command = describe.seal(self.author, command, ids[key])
        row = describe.row(
            self.author,
            command,
            task_id=ids[key],
            owner=parent["owner"],
            priority=parent["priority"],
            root_id=parent["root_id"],
            parent_id=parent["id"],
            key=key,
            weight=child.weight,
        )
        row |= {"state": TaskState.QUEUED, "step": Step.RUN}
        if child.after:
            row |= {"state": TaskState.WAITING, "pending": len(child.after)}
        self.tasks.append(row)
        self.locks.extend(command.locks())
        self.needs.extend((ids[key], ids[earlier]) for earlier in child.after)
        if isinstance(command, ExternalJob):
            self.effects.append(_placeholder(self.author, row, command))
        elif isinstance(command, Composite) and not child.after:
            # Its plan cannot depend on results: promise it with everything else.
            count = self.add_children(row, command)
            waits = {"state": TaskState.WAITING, "pending": count}
            row |= waits if count else {"step": Step.FINISH}


def checked_plan(
    command: Composite[Any], children: Mapping[str, Command[Any] | Child]
) -> dict[str, Child]:
    """The children as `Child`; raises `BadInput` for unknown keys and circles."""
    plan_of = {
        key: child if isinstance(child, Child) else Child(child)
        for key, child in children.items()
    }
    settled: set[str] = set()
    for key, child in plan_of.items():
        unknown = sorted(set(child.after) - set(plan_of))
        if unknown:
            raise BadInput(
                f"{type(command).__name__}: {key!r} comes after {unknown[0]!r}, "
                f"which is not in the plan."
            )
    while len(settled) < len(plan_of):
        ready = {
            key
            for key, child in plan_of.items()
            if key not in settled and settled.issuperset(child.after)
        }
        if not ready:
            circle = ", ".join(sorted(set(plan_of) - settled))
            raise BadInput(f"{type(command).__name__}: a circle of after: {circle}.")
        settled |= ready
    return plan_of
