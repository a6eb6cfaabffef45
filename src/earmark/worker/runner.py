"""The runner: claims tasks in batches and runs each in a thread of its own.

What it has in hand, and what the store says is this worker's, can come apart. A thread
that hangs in an author's call cannot be ended: when the task was taken away from it
(its deadline passed, see `engine.recover`), the thread is written off. Its slot is free
again, and a worker with too many of those drains and is replaced (rule 6). And a task
that no thread works on, since the store was away when it was claimed or half-way
through it, is let go of, to be claimed anew.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from earmark.domain.errors import Stale, StoreAway
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.claim import claim
from earmark.engine.perform import perform
from earmark.engine.recover import Cut
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.store import queue, sends, tasks
from earmark.store.database import Transaction

_log = logging.getLogger(__name__)

#: Written-off threads before the worker is replaced.
MOST_WRITTEN_OFF = 8
_IDLE_SECONDS = 2.0
_CHECK_SECONDS = 1.0
_NOBODY = (None, 0.0)


class Runner:
    """Runs up to `slots` tasks of one worker at a time."""

    def __init__(
        self,
        engine: Engine,
        appetite: queue.Appetite,
        worker_id: str,
        slots: int,
        on_worn_out: Callable[[], None],
        same_store: Callable[[Transaction], bool] = lambda tx: True,
    ) -> None:
        self._engine = engine
        self._appetite = appetite
        self._worker_id = worker_id
        self._slots = slots
        self._on_worn_out = on_worn_out
        self._same_store = same_store
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Task, float]] = {}
        self._written_off: dict[str, Task] = {}
        #: What ended lately, as it was claimed, and how it did if the store knows not.
        self._ended: dict[str, tuple[Task, Cut, str]] = {}
        self._checked_at = 0.0
        self._free = threading.Event()
        self.on_free: Callable[[], None] = lambda: None

    def round(self) -> float:
        """Claim what fits and start it; returns how long to wait for more."""
        if time.monotonic() - self._checked_at >= _CHECK_SECONDS:
            self.compare()
        room = self._slots - len(self._running)
        claimed = claim(self._engine, self._appetite, self._worker_id, room)
        for task in claimed:
            self._start(task)
        return self._pause()

    @property
    def busy(self) -> int:
        """How many tasks run now."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """True when no call is left, not even one that was written off."""
        with self._lock:
            return not self._running and not self._written_off

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing runs; False when something still does by then."""
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            self._free.clear()
            if self._running:
                self._free.wait(min(0.2, max(end - time.monotonic(), 0.001)))
        return not self._running

    def _pause(self) -> float:
        due = self._engine.read(lambda tx: (queue.next_due(tx, self._appetite), tx.now))
        when, now = due
        if when is None:
            return _IDLE_SECONDS
        return min(max((when - now).total_seconds(), 0.0), _IDLE_SECONDS)

    def _start(self, task: Task) -> None:
        key, name = _key(task), f"task-{task.id}"
        with self._lock:
            self._running[key] = (task, time.monotonic())
        thread = threading.Thread(
            target=self._run, args=(task,), name=name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads: it is let go of
            with self._lock:
                del self._running[key]
            raise

    def _run(self, task: Task) -> None:
        cut, why = Cut.FAULT, "its attempt ended without a word"
        try:
            perform(self._engine, task)
        except StoreAway as error:
            cut, why = Cut.STORE, "the store was out of its worker's reach"
            _log.warning("task %s: this attempt broke off: %s", task.id, error)
        except Exception as error:  # noqa: BLE001 - see below
            # What state it is in stands in the database; `compare` goes on from there.
            why = f"its attempt broke off: {told(error)}"
            _log.exception("task %s: this attempt broke off", task.id)
        finally:
            self._over(task, cut, why)
            self._free.set()
            self.on_free()

    def _over(self, task: Task, cut: Cut, why: str) -> None:
        """Its thread is over; whether the task is as well, the store says."""
        key = _key(task)
        with self._lock:
            self._ended[key] = (task, cut, why)
            # A store that was put back counts attempts anew: not another's, of the
            # same number.
            if self._running.get(key, _NOBODY)[0] is task:
                del self._running[key]
            if self._written_off.get(key) is task:
                del self._written_off[key]

    def compare(self) -> None:
        """What we have in hand with what the store says is ours, both ways."""
        self._checked_at = now = time.monotonic()
        # In this order: only this thread claims, so what is not in hand by now, and is
        # ours in the store after it, is in no hand any more.
        with self._lock:
            in_hand = {
                **{k: t for k, (t, _) in self._running.items()},
                **self._written_off,
            }
            old = {k: t for k, (t, at) in self._running.items() if now - at > 2}
        found = self._engine.read(self._ours)
        if found is None:
            return
        ours, unheard = found
        busy = {task.id for task in in_hand.values()}
        if ended := [nonce for nonce, task_id in unheard if task_id not in busy]:
            recover.sends_over(self._engine, ended)
        still = {_key(task): task for task in ours}
        left = [task for key, task in still.items() if key not in in_hand]
        random.shuffle(left)  # the trouble with one stands in no other's way for long
        for task in left:
            self._let_go(task)
        with self._lock:
            for key in self._ended.keys() - in_hand.keys() - still.keys():
                del self._ended[key]
        self._write_off({key: old[key] for key in old.keys() - still.keys()})

    def _ours(self, tx: Transaction) -> tuple[list[Task], list[tuple[str, str]]] | None:
        """What runs in our name, and the sends of ours that are not known to be over;
        None of an older copy of the store, before its epoch has begun (rule 15)."""
        if not self._same_store(tx):
            return None
        running = tasks.running_of(tx, self._worker_id)
        return running, sends.open_of(tx, self._worker_id)

    def _let_go(self, task: Task) -> None:
        """Let it be claimed anew: its attempt is over, or was never begun."""
        unheard = (task, Cut.UNHEARD, "its worker did not hear that it had claimed it")
        claimed, cut, why = self._ended.get(_key(task), unheard)
        with suppress(Stale):  # another was first
            recover.let_go(self._engine, task, cut, why, claimed.tries)
            _log.warning("task %s is let go of: %s", task.id, why)

    def _write_off(self, lost: dict[str, Task]) -> None:
        """Free the slots of threads whose task is no longer theirs."""
        for key, task in lost.items():
            with self._lock:
                if self._running.pop(key, None) is not None:
                    self._written_off[key] = task
                    _log.warning("task %s: its call hangs, written off", task.id)
        if len(self._written_off) >= MOST_WRITTEN_OFF:
            self._on_worn_out()


def _key(task: Task) -> str:
    return f"{task.id}/{task.attempt}"
