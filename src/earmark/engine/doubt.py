"""Doubt: a request may have left and nobody knows what became of it; and held: nobody
can find out but a person. Both end nothing and guess nothing (rules 2, 4)."""

from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.runtime import Engine
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction


def raise_doubt(
    tx: Transaction, task: Task, effect_id: str, why: str, *, nonce: str, gone: bool
) -> None:
    """`sending` → `in_doubt`, for a task whose family is locked; it holds no worker.

    `gone`: the sender's call is over, or its process proved gone (rule 1).
    """
    placeholders.move_sent(
        tx,
        effect_id,
        nonce,
        PlaceholderState.IN_DOUBT,
        doubt_since=tx.now,
        next_check_at=tx.now,
        checks=0,
        sender_gone_at=tx.now if gone else None,
    )
    placeholders.witness(tx, effect_id, "doubt", why, nonce=nonce)
    journal.log(tx, task.id, f"In doubt: {why}", "warning")
    tasks.move(tx, task, TaskState.WAITING, message=why, deadline_at=None)


def hold_task(tx: Transaction, task: Task, effect: Placeholder, why: str) -> None:
    """`in_doubt` → `held`, for a task whose family is locked."""
    placeholders.move(tx, effect, PlaceholderState.HELD, next_check_at=None)
    placeholders.witness(tx, effect.id, "held", why)
    tasks.move(tx, task, TaskState.HELD, message=why, deadline_at=None)
    journal.log(tx, task.id, f"Held: {why}", "error")
    journal.note(tx, "engine", "hold", task.id, why=why)


def hold(engine: Engine, effect: Placeholder, why: str) -> None:
    """Nothing more can be found out by itself: a person decides (rule 4).

    A bound effect goes by way of doubt: it was accepted, and cannot be followed.
    """

    def work(tx: Transaction) -> None:
        task = tasks.lock_family(tx, effect.task_id)
        held = effect
        if effect.state is PlaceholderState.BOUND:
            held = placeholders.move(
                tx, effect, PlaceholderState.IN_DOUBT, doubt_since=tx.now
            )
        hold_task(tx, task, held, why)

    engine.write(work)
