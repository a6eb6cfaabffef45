"""Plan: the whole promise is written down before anything is sent.

One transaction: the root's locks, `check` again under them, **every** child and
**every** placeholder (invariant 6). What comes later only fills in what is here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from earmark.domain.command import (
    Command,
    Composite,
    ExternalJob,
    WhenLocked,
)
from earmark.domain.connector import EffectClass
from earmark.domain.errors import BadInput, Locked
from earmark.domain.lock import Lock, checked
from earmark.domain.states import PlaceholderState, Step, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.authored import in_tx
from earmark.engine.boundary import boundary
from earmark.engine.enqueue import open_tx
from earmark.engine.obstacle import in_the_way, way_past
from earmark.engine.promise import Promised, as_row, needs_a_lock
from earmark.engine.runtime import Engine
from earmark.engine.settle import Stopped
from earmark.engine.tx import EngineTx
from earmark.store import journal, locks, placeholders, tasks
from earmark.store.database import Transaction


class _MustQueue(Exception):
    """Somebody holds what this root wants, and it waits for that: holding nothing."""

    def __init__(self, wanted: Sequence[Lock]) -> None:
        super().__init__()
        self.wanted = wanted


def plan(engine: Engine, claimed: Task, command: Command[Any]) -> Task:
    """Write the plan of a claimed task; returns the task as it is afterwards.

    A composite is `waiting` then and holds no worker, and so is a root that queues for
    its locks; others go on `running`. Raises `Locked`, what `check` or `children`
    raise, or `Stale`; then nothing was written.
    """
    try:
        planned = engine.write(lambda tx: _plan(engine, tx, claimed, command))
    except _MustQueue as must:
        wanted = must.wanted
        return engine.write(lambda tx: _queue(tx, claimed, command, wanted))
    boundary("plan.committed")
    return planned


def _plan(
    engine: Engine, tx: Transaction, claimed: Task, command: Command[Any]
) -> Task:
    locks.lock_family(tx, claimed)
    counted = {"tries": claimed.tries + 1, **_end_by(claimed, command)}
    task = tasks.change(tx, claimed, **counted)
    effect = placeholders.of_task(tx, task.id)
    unsent = effect is None or effect.state is PlaceholderState.PLANNED
    if task.stop_requested and unsent:
        raise Stopped
    author = open_tx(engine, tx, task)
    if effect is not None and task.undoes_id is not None and unsent:
        _lock_undo(author, task, effect, command)
    if effect is not None:
        # Promised before, by an earlier attempt or by the parent's plan: its locks are
        # held, and `check` was asked when it could still refuse.
        return task
    promised = Promised(author)
    if task.is_root:
        promised.locks.extend(in_tx(lambda: checked(task.command, command.locks())))
        _lock(tx, task, promised.locks, _waits(task, command))
        in_tx(lambda: command.check(author))
    if isinstance(command, ExternalJob):
        promised.add_effect(as_row(task), command)
    elif isinstance(command, Composite):
        children = in_tx(lambda: command.children(author))
        promised.add_children(as_row(task), command, children)
        return _write_children(author, task, promised, _waits(task, command))
    _check_proof(tx, task, promised.effects)
    promised.write()
    return task


def _lock_undo(
    author: EngineTx, task: Task, effect: Placeholder, command: Command[Any]
) -> None:
    """A step of an undo takes its locks, for its root, only now: what stands in the way
    is waited for like any other reason why it could not be done (rule 9)."""
    wanted = in_tx(lambda: checked(task.command, command.locks()))
    _lock(author.store, task, wanted, waits=False)
    in_tx(lambda: command.check(author))
    _check_proof(author.store, task, [{"effect": EffectClass(effect.effect)}])


def plan_more(
    author: EngineTx, task: Task, command: Composite[Any], children: object
) -> Task | None:
    """Plan the next phase of a composite whose children have all ended well; None when
    there is none. Its locks are the root's, which holds some, so it cannot queue."""
    earlier = tasks.children(author.store, task.id)
    promised = Promised(author)
    if not promised.add_children(as_row(task), command, children, earlier):
        return None
    return _write_children(author, task, promised, waits=False)


def _waits(task: Task, command: Command[Any]) -> bool:
    """True when it would rather wait for its locks. Only a root may: at its plan it
    holds nothing, so that nobody can wait for what it holds (rule 11)."""
    return task.is_root and command.when_locked is WhenLocked.QUEUE


def _write_children(
    author: EngineTx, task: Task, promised: Promised, waits: bool
) -> Task:
    tx = author.store
    _lock(tx, task, promised.locks, waits)
    _check_proof(tx, task, promised.effects)
    promised.write()
    count = sum(row["parent_id"] == task.id for row in promised.tasks)
    journal.log(
        tx,
        task.id,
        f"Planned {len(promised.tasks)} tasks with {len(promised.effects)} effects; "
        f"all are promised now, none is sent yet.",
    )
    if not count:
        finish = {"step": Step.FINISH, "deadline_at": None}
        return tasks.move(tx, task, TaskState.QUEUED, **finish)
    return tasks.rest(tx, task, pending=count)


def _end_by(task: Task, command: Command[Any]) -> dict[str, Any]:
    """The deadline of the whole run, counted from the first claim. A step of an undo
    has none: only a person gives it up (rule 9)."""
    seconds = command.deadlines.run
    if (
        task.undoes_id is not None
        or seconds is None
        or task.end_by is not None
        or task.started_at is None
    ):
        return {}
    return {"end_by": task.started_at + timedelta(seconds=seconds)}


def _check_proof(
    tx: Transaction, task: Task, effects: Iterable[Mapping[str, Any]]
) -> None:
    """Two equal requests of ours at once could not be told apart where there is only a
    list of tasks: an exclusive lock must see to it that there is one (rule 3)."""
    if needs_a_lock(effects) and not locks.any_exclusive(tx, task.root_id):
        raise BadInput(
            f"{task.command}: an operation of class `tasks` needs an exclusive lock on "
            f"what it works on.",
            hint="Let `locks` return exclusive(kind, name).",
        )


def _lock(tx: Transaction, task: Task, wanted: Sequence[Lock], waits: bool) -> None:
    obstacle = locks.take(tx, task.root_id, wanted)
    if obstacle is None:
        return
    if waits:
        raise _MustQueue(wanted)
    raise Locked(
        f"{in_the_way(tx, obstacle)}.",
        hint=way_past(tx, obstacle),
    )


def _queue(
    tx: Transaction, claimed: Task, command: Command[Any], wanted: Sequence[Lock]
) -> Task:
    """Queue for the locks; or try again at once when they have come free since."""
    locks.lock_family(tx, claimed)
    task = tasks.change(tx, claimed, **_end_by(claimed, command))
    if task.stop_requested:
        raise Stopped
    # All that it ever queued for is taken at once, so any of that stands in its way.
    wishes = locks.queue(tx, task.id, wanted)
    obstacle = locks.in_the_way(tx, task.id, wishes)
    if obstacle is None:
        return tasks.move(tx, task, TaskState.QUEUED, deadline_at=None)
    text = f"{in_the_way(tx, obstacle)}; it waits for that."
    journal.log(tx, task.id, text)
    return tasks.rest(tx, task, message=text)
