"""Doubt: a request may have left and nobody knows what became of it; and held: nobody
can find out but a person. Both end nothing and guess nothing (rules 2, 4)."""

from datetime import timedelta

import sqlalchemy as sa

from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.runtime import Engine
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as table


def raise_doubt(
    tx: Transaction,
    task: Task,
    effect_id: str,
    nonce: str,
    why: str,
    pause: timedelta = timedelta(0),
) -> None:
    """`sending` → `in_doubt`, for a task whose family is locked; it holds no worker.

    Doubt counts from when it began, through all that is sent again meanwhile; the
    first look comes after `pause`.
    """
    placeholders.move_sent(
        tx,
        effect_id,
        nonce,
        PlaceholderState.IN_DOUBT,
        doubt_since=sa.func.coalesce(table.c.doubt_since, tx.now),
        next_check_at=tx.now + pause,
        checks=0,
        errors=0,
    )
    placeholders.witness(tx, effect_id, "doubt", why, nonce=nonce)
    journal.log(tx, task.id, f"In doubt: {why}", "warning")
    tasks.rest(tx, task, message=why)


def hold_task(tx: Transaction, task: Task, effect: Placeholder, why: str) -> None:
    """`in_doubt` → `held`, for a task whose family is locked."""
    # What was decided before has been carried out, and did not end it.
    over = {"next_check_at": None, "decision": None, "resend": False}
    placeholders.move(tx, effect, PlaceholderState.HELD, **over)
    placeholders.witness(tx, effect.id, "held", why)
    tasks.hold(tx, task, message=why)
    journal.log(tx, task.id, f"Held: {why}", "error")
    journal.note(tx, "engine", "hold", task.id, why=why)


def ask_first(
    tx: Transaction, task: Task, effect: Placeholder, why: str, pause: timedelta
) -> None:
    """What was cleared to be sent again did not come to that, for a task whose family
    is locked: after the pause its provider is asked about it once more."""
    soon = tx.now + pause
    placeholders.change(tx, effect, resend=False, next_check_at=soon)
    if not journal.says(tx, task.id, why):
        journal.log(tx, task.id, why, "warning")
    tasks.rest(tx, task, message=why)


def _still_held(tx: Transaction, task: Task, effect: Placeholder, why: str) -> None:
    """What a person decided could not be carried out: they decide again."""
    placeholders.change(tx, effect, next_check_at=None, decision=None)
    placeholders.witness(tx, effect.id, "held", why)
    journal.log(tx, task.id, f"Still held: {why}", "error")
    tasks.change(tx, task, message=why)


def hold(engine: Engine, effect: Placeholder, why: str) -> None:
    """Nothing more can be found out by itself: a person decides (rule 4).

    A bound effect goes by way of doubt: it was accepted, and cannot be followed.
    """

    def work(tx: Transaction) -> None:
        task = tasks.lock_family(tx, effect.task_id)
        if effect.state is PlaceholderState.HELD:
            _still_held(tx, task, effect, why)
            return
        held = effect
        if effect.state is PlaceholderState.BOUND:
            held = placeholders.move(
                tx, effect, PlaceholderState.IN_DOUBT, doubt_since=tx.now
            )
        hold_task(tx, task, held, why)

    engine.write(work)
