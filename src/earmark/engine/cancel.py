"""Cancel: somebody no longer wants it. What was never sent is dropped at once; what is
at the provider is asked to stop, and its observed end counts."""

from dataclasses import dataclass

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cancel would mean now, said beforehand. `kind` for programs: nothing-sent,
    find-out, ask-provider, ask-worker, follow, person; `text` for people."""

    kind: str
    text: str


def offer(tx: Transaction, task: Task) -> Offer | None:
    """What cancelling would mean; None when it cannot be (ended, a child, asked)."""
    raise NotImplementedError


def cancel(engine: Engine, task_id: str, who: str) -> Task:
    """Ask a root to stop; returns the task as it is then. Asking twice changes nothing.

    Raises `UnknownName`, `BadInput` for a child, `Rejected` when it has ended.
    """
    raise NotImplementedError
