"""Obstacle: who is in the way of a lock, and what to do about it, in words."""

from earmark.domain.states import TaskState
from earmark.store import inventory, locks, tasks
from earmark.store.database import Transaction


def in_the_way(tx: Transaction, obstacle: locks.Obstacle) -> str:
    """What is in the way of a lock, in words, without a full stop."""
    kind = obstacle.kind
    what = "VM" if kind == "vm" else kind.replace("-", " ").capitalize()
    known = kind in ("vm", "provider", "template", "orphan")
    name = inventory.name_of(tx, kind, obstacle.name) if known else obstacle.name
    if kind.endswith("-name") and "/" in name:
        # Unique at one provider only, and so locked as PROVIDER/NAME.
        provider, _, own = name.partition("/")
        name = f"{inventory.name_of(tx, 'provider', provider)}/{own}"
    verb = "is waited for, earlier," if obstacle.queued else "is locked"
    return f"{what} {name} {verb} by “{obstacle.title}” (task {obstacle.task_id})"


def way_past(tx: Transaction, obstacle: locks.Obstacle) -> str:
    """What lets a refused lock be had. A held task, or one with a held part, does not
    end by itself, so that nobody is told to wait for it."""
    holder = tasks.get(tx, obstacle.task_id)
    family = [holder, *tasks.descendants(tx, holder.id)]
    if any(task.state is TaskState.HELD for task in family):
        return "That task is held: it ends when a person decides. Then ask again."
    return "Wait for that task to end, then ask again."
