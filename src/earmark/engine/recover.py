"""Recover: what a lost worker left half-done is known from the database alone.

Anybody may do it (rule 7): every write is a compare-and-set on what was read. Silence
is not death (rule 1): a sender that is only silent leaves its request in doubt, and
its send open until its process is proved gone.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from functools import partial

from earmark.domain.command import OnRestart
from earmark.domain.errors import Stale
from earmark.domain.states import Outcome, PlaceholderState, Step, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.doubt import hold_task, raise_doubt
from earmark.engine.end import End
from earmark.engine.left_behind import failed_with
from earmark.engine.not_undone import hold_undo
from earmark.engine.runtime import Engine
from earmark.engine.wake import drop, stop
from earmark.store import journal, locks, placeholders, sends, tasks, workers
from earmark.store.database import Transaction

_log = logging.getLogger(__name__)

#: After so many lost workers under one task it is the task that is to blame.
MOST_RECOVERIES = 5
#: Tasks recovered in one transaction, as long as none of them makes trouble.
_BATCH = 100
_PAUSE = timedelta(seconds=2)


class Cut(Enum):
    """What cut an attempt off; the value says what there were too many of."""

    LOST = "workers were lost while running this"
    #: Its worker lives: the attempt is to blame, or only the store.
    FAULT = "attempts of it broke off"
    STORE = "attempts met no store"
    UNHEARD = "claims of it were not heard"

    @property
    def counts(self) -> bool:
        """Whether it is a loss, of which no task survives any number."""
        return self in (Cut.LOST, Cut.FAULT)

    @property
    def pause(self) -> timedelta:
        """Until it may be claimed again: what is busy is not kept busy by it."""
        return _PAUSE if self in (Cut.FAULT, Cut.STORE) else timedelta(0)

    def last(self, why: str) -> str:
        """What to add about the last one."""
        return f", the last one since {why}" if self is Cut.FAULT else ""


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


def left_by_the_gone(engine: Engine) -> int:
    """What workers that are known to be gone still have goes on elsewhere too; returns
    how many tasks.

    Being proved gone and being recovered are two transactions: whoever did the first
    may have died before the second. And what a dying process sent to the database may
    be committed there only after its death was seen.
    """
    left = engine.read(workers.gone_with_work)
    return sum(worker_gone(engine, it, f"worker {it} is gone") for it in left)


def worker_silent(engine: Engine, worker_id: str, why: str) -> int:
    """The worker does not beat: what it runs is in doubt, and it may still wake up."""

    def note(tx: Transaction) -> None:
        workers.set_state(tx, worker_id, "silent", of=("live", "draining"))

    engine.write(note)
    return _recover_all(engine, worker_id, why)


def overdue(engine: Engine) -> int:
    """Calls past their deadline are hung, however alive their worker (rule 6)."""
    late = engine.read(lambda tx: tasks.overdue(tx, tx.now))
    return _recover_many(engine, late, "its call ran past its deadline")


def sends_over(engine: Engine, nonces: Sequence[str]) -> None:
    """The threads that made these have ended: they send nothing more (rule 14)."""

    def work(tx: Transaction) -> None:
        for nonce in nonces:
            sends.over(tx, nonce)

    engine.write(work)


def let_go(engine: Engine, task: Task, cut: Cut, why: str, tries: int) -> None:
    """A worker that lives on works no more on this task of its own: no thread of it
    does, and its sends are over. It had had so many `tries` when it was claimed.

    Queued again, for a little later, or in doubt. Raises `Stale` when it moved on
    meanwhile.
    """

    def work(tx: Transaction) -> None:
        locks.lock_family(tx, task)
        left = task if cut.counts else tasks.change(tx, task, tries=tries)
        _recover(tx, left, why, cut)

    engine.write(work)


def _recover_all(engine: Engine, worker_id: str, why: str) -> int:
    left = engine.read(lambda tx: tasks.running_of(tx, worker_id))
    return _recover_many(engine, left, why)


def _recover_many(engine: Engine, left: Sequence[Task], why: str) -> int:
    count = 0
    for start in range(0, len(left), _BATCH):
        some = left[start : start + _BATCH]
        try:
            engine.write(partial(_each, some=some, why=why))
            count += len(some)
        except Exception:  # noqa: BLE001 - told below, of the one that it is about
            # One of them has moved on, or makes trouble: row by row (rule 10).
            count += sum(recover(engine, task, why) for task in some)
    return count


def _each(tx: Transaction, some: Sequence[Task], why: str) -> None:
    for task in some:
        _recover(tx, task, why)


def recover(engine: Engine, left: Task, why: str) -> bool:
    """Take a running task from whoever had it; False when it moved on meanwhile.

    Nothing sent: queued again, for another attempt. Sent without an answer: in doubt.
    A command that is to fail then (`on_restart`) sends nothing more.
    """
    try:
        engine.write(lambda tx: _recover(tx, left, why))
    except Stale:
        return False
    except Exception:  # noqa: BLE001 - whatever it is, the others are recovered
        # One task's trouble stands in no other's way; the next round comes again.
        _log.warning("task %s could not be recovered now", left.id, exc_info=True)
        return False
    return True


def _recover(tx: Transaction, left: Task, why: str, cut: Cut = Cut.LOST) -> None:
    locks.lock_family(tx, left)
    task = tasks.change(tx, left, recoveries=left.recoveries + cut.counts)
    journal.log(tx, task.id, f"Recovered: {why}.", "warning")
    journal.note(tx, "engine", "recover", task.id, why=why)
    failing = _to_fail(tx, task) if cut.counts else None
    if failing is not None:
        _fail(tx, failing, f"Cut off half-way: {why}.")
        task = tasks.get(tx, task.id)
    effect = placeholders.of_task(tx, task.id)
    state = effect.state if effect is not None else PlaceholderState.PLANNED
    too_often = ""
    if cut.counts and task.recoveries > MOST_RECOVERIES:
        too_often = f"{task.recoveries} {cut.value}{cut.last(why)}."
    if effect is not None and state is PlaceholderState.SENDING:
        assert effect.nonce is not None
        text = f"The request may have left: {why}."
        raise_doubt(tx, task, effect.id, effect.nonce, text)
        if too_often:
            effect = placeholders.get(tx, effect.id)
            _give_up(tx, tasks.get(tx, task.id), effect, too_often)
    elif too_often:
        _give_up(tx, task, effect, too_often)
    elif failing is not None and state is PlaceholderState.PLANNED:
        drop(tx, task, effect, End.failed(f"Cut off half-way: {why}.", "interrupted"))
    else:
        after = tx.now + cut.pause
        tasks.move(tx, task, TaskState.QUEUED, deadline_at=None, run_after=after)


def _to_fail(tx: Transaction, task: Task) -> Task | None:
    """The highest of the task and those above it that is to fail when a worker is lost
    before all of it was sent; None when it is resumed."""
    if task.step is not Step.RUN or task.undoes_id is not None:
        return None  # all of it was sent, and has ended; and undo is always resumed
    found, one = None, task
    while True:
        if one.on_restart == OnRestart.FAIL:
            found = one
        if one.parent_id is None:
            return found
        one = tasks.get(tx, one.parent_id)


def _fail(tx: Transaction, top: Task, why: str) -> None:
    """The rule of oVirt's placeholders, in one transaction: what was never sent is
    dropped, the verdict is failed, and what is at the provider is followed."""
    if top.verdict is None:
        error = {"code": "interrupted", "message": why}
        top = tasks.change(tx, top, verdict=Outcome.FAILED, error=error)
    stop(tx, top, f"Not sent: {why}")


def _give_up(
    tx: Transaction, task: Task, effect: Placeholder | None, text: str
) -> None:
    """It is cut off again and again: failed if nothing was sent, else held."""
    if task.step is Step.UNDO:
        hold_undo(tx, task, text)
        return
    if effect is None or effect.state is PlaceholderState.PLANNED:
        drop(tx, task, effect, failed_with(tx, task, text, "poison"))
        return
    hold_task(tx, task, effect, text)
