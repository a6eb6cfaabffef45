"""Restored: the store is an older copy of itself, so what was sent since that copy was
taken is not written in it. What it takes for unsent is asked about before it is sent
(rule 15); its token is derived from its task, so it is the one that was sent."""

from datetime import timedelta
from typing import Any

from earmark.domain.connector import Operation
from earmark.domain.ids import new_id
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.claim import GRACE_SECONDS
from earmark.engine.runtime import Engine
from earmark.store import journal, placeholders, sends, tasks
from earmark.store.database import Transaction

#: Who sent what is not written down: a worker from before the restore.
UNKNOWN_SENDER = "restored"


def doubt_restored(
    engine: Engine,
    task: Task,
    effect: Placeholder,
    operation: Operation,
    request: Any,
) -> None:
    """Put a promise that looks unsent in doubt, as if it had been sent by a worker that
    nobody knows any more. Raises `Stale` when the task was taken over meanwhile."""

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        nonce = new_id()
        sends.insert(tx, effect.id, nonce, UNKNOWN_SENDER)
        # A sender checks its deadline right before the bytes, so after this much none
        # from before can send it any more.
        last = tx.now + timedelta(seconds=operation.send_seconds + GRACE_SECONDS)
        sends.over(tx, nonce, at=last)
        why = "The store was restored since: it may have been sent already."
        placeholders.move(
            tx,
            effect,
            PlaceholderState.IN_DOUBT,
            nonce=nonce,
            request=request,
            # A token's life counts from the earliest that it can have been sent.
            first_sent_at=tx.now if operation.token_life is None else task.created_at,
            doubt_since=tx.now,
            next_check_at=tx.now,
        )
        placeholders.witness(tx, effect.id, "doubt", why, nonce=nonce)
        journal.log(tx, task.id, f"In doubt: {why}", "warning")
        tasks.rest(tx, task, message=why)

    engine.write(work)
