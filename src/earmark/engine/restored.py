"""Restored: the store is an older copy of itself, so what was sent since that copy was
taken is not written in it. What it takes for unsent is asked about before it is sent
(rule 15); its token is derived from its task, so it is the one that was sent."""

from datetime import timedelta
from typing import Any

from earmark.domain.connector import MOST_SEND_SECONDS, Operation
from earmark.domain.ids import derived_id
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.claim import GRACE_SECONDS
from earmark.engine.runtime import Engine
from earmark.store import epoch, journal, placeholders, sends, tasks
from earmark.store.database import Transaction

#: No sender of before the restore can send after this: it checks its deadline right
#: before the bytes, and no operation may take longer.
LONGEST_SEND = timedelta(seconds=MOST_SEND_SECONDS + GRACE_SECONDS)
#: Who sent what is not written down: a worker from before the restore.
UNKNOWN_SENDER = "restored"


def must_ask(tx: Transaction, task: Task, effect: Placeholder) -> bool:
    """True for a promise of before the restore that was not asked about since: also for
    one that had been sent before and came to nothing, for it may have been sent again
    after the copy was taken."""
    return effect.state is PlaceholderState.PLANNED and not _asked(tx, task, effect)


def unasked(tx: Transaction, task: Task, effect: Placeholder) -> bool:
    """Whether it may have been sent since the copy was taken, which nobody has asked
    about: then it is no promise that can be dropped. Notes that unknown send, so that
    it is asked about, and waited for, from now on."""
    if _asked(tx, task, effect):
        return False
    _note_unknown(tx, effect, LONGEST_SEND)
    return True


def unprepared(tx: Transaction, task: Task, effect: Placeholder) -> bool:
    """Whether it was only looked for since the restore, and found absent: then it has
    no request yet, and what `prepare` said then may have changed since."""
    if not task.restored or effect.request is not None:
        return False
    made = sends.of_placeholder(tx, effect.id)
    return all(send.sender_id == UNKNOWN_SENDER for send in made)


def decided(tx: Transaction, task: Task, effect: Placeholder) -> None:
    """A person has it sent again, and knows of the restore: that is not asked about
    once more."""
    if not _asked(tx, task, effect):
        _note_unknown(tx, effect, timedelta(0))


def _asked(tx: Transaction, task: Task, effect: Placeholder) -> bool:
    """True when nothing of it can have been sent that is not written down, or it was
    taken for that since the restore."""
    if not task.restored:
        return True
    nonce = _nonce(tx, effect)
    return any(send.nonce == nonce for send in sends.of_placeholder(tx, effect.id))


def _nonce(tx: Transaction, effect: Placeholder) -> str:
    """Of the send that nobody knows of: one for each effect and restore."""
    return derived_id(effect.id, f"restored {epoch.current(tx)}")


def _note_unknown(tx: Transaction, effect: Placeholder, may_leave: timedelta) -> str:
    nonce = _nonce(tx, effect)
    sends.insert(tx, effect.id, nonce, UNKNOWN_SENDER)
    sends.over(tx, nonce, at=tx.now + may_leave)
    return nonce


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
        # A sender checks its deadline right before the bytes, so after this much none
        # from before can send it any more.
        may_leave = timedelta(seconds=operation.send_seconds + GRACE_SECONDS)
        nonce = _note_unknown(tx, effect, may_leave)
        why = "The store was restored since: it may have been sent already."
        # A token's life counts from the earliest that it can have been sent.
        earliest = tx.now if operation.token_life is None else task.created_at
        placeholders.move(
            tx,
            effect,
            PlaceholderState.IN_DOUBT,
            nonce=nonce,
            request=request,
            first_sent_at=effect.first_sent_at or earliest,
            doubt_since=tx.now,
            next_check_at=tx.now,
        )
        placeholders.witness(tx, effect.id, "doubt", why, nonce=nonce)
        journal.log(tx, task.id, f"In doubt: {why}", "warning")
        tasks.rest(tx, task, message=why)

    engine.write(work)
