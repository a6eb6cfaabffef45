"""Recover: what a lost worker left half-done is known from the database alone.

Anybody may do it (rule 7): every write is a compare-and-set on what was read. Silence
is not death (rule 1): a sender that is only silent leaves its request in doubt, and
its send open until its process is proved gone.
"""

import logging

from earmark.domain.errors import CommitUnknown, Stale, Unavailable
from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.doubt import hold_task, raise_doubt
from earmark.engine.runtime import Engine
from earmark.engine.wake import end, failed_with
from earmark.store import journal, placeholders, sends, tasks, workers
from earmark.store.database import Transaction

_log = logging.getLogger(__name__)

#: After so many lost workers under one task it is the task that is to blame.
MOST_RECOVERIES = 5


def worker_gone(engine: Engine, worker_id: str, why: str) -> int:
    """The worker's process is proved gone: it will send nothing more.

    Its tasks go on elsewhere; returns how many.
    """

    def attest(tx: Transaction) -> None:
        workers.set_state(tx, worker_id, "gone", of=(*workers.ALIVE, "stopped"))
        workers.give_up_leases(tx, worker_id)
        sends.sender_gone(tx, worker_id)

    engine.write(attest)
    return _recover_all(engine, worker_id, why)


def worker_silent(engine: Engine, worker_id: str, why: str) -> int:
    """The worker does not beat: what it runs is in doubt, and it may still wake up."""

    def note(tx: Transaction) -> None:
        workers.set_state(tx, worker_id, "silent", of=("live", "draining"))

    engine.write(note)
    return _recover_all(engine, worker_id, why)


def overdue(engine: Engine) -> int:
    """Calls past their deadline are hung, however alive their worker (rule 6)."""
    late = engine.read(lambda tx: tasks.overdue(tx, tx.now))
    return sum(recover(engine, task, "its call ran past its deadline") for task in late)


def _recover_all(engine: Engine, worker_id: str, why: str) -> int:
    left = engine.read(lambda tx: tasks.running_of(tx, worker_id))
    return sum(recover(engine, task, why) for task in left)


def recover(engine: Engine, left: Task, why: str) -> bool:
    """Take a running task from whoever had it; False when it moved on meanwhile.

    Nothing sent: queued again, for another attempt. Sent without an answer: in doubt.
    """

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, left.id)
        task = tasks.change(tx, left, recoveries=left.recoveries + 1)
        journal.log(tx, task.id, f"Recovered: {why}.", "warning")
        journal.note(tx, "engine", "recover", task.id, why=why)
        effect = placeholders.of_task(tx, task.id)
        if effect is not None and effect.state is PlaceholderState.SENDING:
            assert effect.nonce is not None
            text = f"The request may have left: {why}."
            raise_doubt(tx, task, effect.id, effect.nonce, text)
            if task.recoveries > MOST_RECOVERIES:
                _give_up(tx, tasks.get(tx, task.id), placeholders.get(tx, effect.id))
        elif task.recoveries > MOST_RECOVERIES:
            _give_up(tx, task, effect)
        else:
            tasks.move(tx, task, TaskState.QUEUED, deadline_at=None, run_after=tx.now)

    try:
        engine.write(work)
    except Stale:
        return False
    except (Unavailable, CommitUnknown):
        # One task's trouble stands in no other's way; the next round comes again.
        _log.warning("task %s could not be recovered now", left.id, exc_info=True)
        return False
    return True


def _give_up(tx: Transaction, task: Task, effect: Placeholder | None) -> None:
    """Its workers die again and again: failed if nothing was sent, else held."""
    text = f"{task.recoveries} workers were lost while running this."
    if effect is None or effect.state is PlaceholderState.PLANNED:
        if effect is not None:
            placeholders.move(tx, effect, PlaceholderState.DROPPED)
        end(tx, task, failed_with(tx, task, text, "poison"))
        return
    hold_task(tx, task, effect, text)
