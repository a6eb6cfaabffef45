"""The runner: claims tasks in batches and runs each in a thread of its own.

What it has in hand, and what the store says is this worker's, can come apart. A thread
that hangs in an author's call cannot be ended: when the task was taken away from it
(its deadline passed, see `engine.recover`), the thread is written off. Its slot is free
again, and a worker with too many of those drains and is replaced (rule 6). And a task
that no thread works on, since the store was away when it was claimed or half-way
through it, is let go of, to be claimed anew.
"""

import logging
import threading
import time
from collections.abc import Callable

from earmark.domain.errors import CommitUnknown, Unavailable
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.claim import claim
from earmark.engine.perform import perform
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.store import queue, tasks

_log = logging.getLogger(__name__)

#: Written-off threads before the worker is replaced.
MOST_WRITTEN_OFF = 8
_IDLE_SECONDS = 2.0
_CHECK_SECONDS = 1.0
_NOT_HEARD = "its worker did not hear that it had claimed it"
_STORE_AWAY = "the store was out of its worker's reach"


class Runner:
    """Runs up to `slots` tasks of one worker at a time."""

    def __init__(
        self,
        engine: Engine,
        appetite: queue.Appetite,
        worker_id: str,
        slots: int,
        on_worn_out: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._appetite = appetite
        self._worker_id = worker_id
        self._slots = slots
        self._on_worn_out = on_worn_out
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Task, float]] = {}
        self._written_off: set[str] = set()
        #: Why attempts broke off, and whether the task is to blame.
        self._broke_off: dict[str, tuple[str, bool]] = {}
        self._checked_at = 0.0
        self._free = threading.Event()
        self.on_free: Callable[[], None] = lambda: None

    def round(self) -> float:
        """Claim what fits and start it; returns how long to wait for more."""
        self._compare()
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
        key = _key(task)
        with self._lock:
            self._running[key] = (task, time.monotonic())
        name = f"task-{task.id}"
        threading.Thread(
            target=self._run, args=(key, task), name=name, daemon=True
        ).start()

    def _run(self, key: str, task: Task) -> None:
        try:
            perform(self._engine, task)
        except (Unavailable, CommitUnknown) as error:
            self._note(key, _STORE_AWAY, blame=False)
            _log.warning("task %s: this attempt broke off: %s", task.id, error)
        except Exception as error:  # noqa: BLE001 - see below
            # What state it is in stands in the database; `_compare` goes on from there.
            self._note(key, f"its attempt broke off: {told(error)}", blame=True)
            _log.exception("task %s: this attempt broke off", task.id)
        finally:
            with self._lock:
                self._running.pop(key, None)
                self._written_off.discard(key)
            self._free.set()
            self.on_free()

    def _note(self, key: str, why: str, *, blame: bool) -> None:
        with self._lock:
            self._broke_off[key] = (why, blame)

    def _compare(self) -> None:
        """What we have in hand with what the store says is ours, both ways."""
        now = time.monotonic()
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        # In this order: only this thread claims, so what is not in hand by now, and is
        # ours in the store after it, is in no hand any more.
        with self._lock:
            in_hand = {*self._running, *self._written_off}
            old = {k: t for k, (t, at) in self._running.items() if now - at > 2}
        ours = self._engine.read(lambda tx: tasks.running_of(tx, self._worker_id))
        for task in ours:
            if _key(task) not in in_hand:
                self._let_go(task)
        with self._lock:  # of what has moved on by itself, too
            for key in self._broke_off.keys() - in_hand:
                del self._broke_off[key]
        self._write_off({k: old[k] for k in old.keys() - set(map(_key, ours))})

    def _let_go(self, task: Task) -> None:
        """Let it be claimed anew: its attempt is over, or was never begun."""
        why, blame = self._broke_off.get(_key(task), (_NOT_HEARD, False))
        if recover.let_go(self._engine, task, why, blame=blame):
            _log.warning("task %s is let go of: %s", task.id, why)

    def _write_off(self, lost: dict[str, Task]) -> None:
        """Free the slots of threads whose task is no longer theirs."""
        for key, task in lost.items():
            with self._lock:
                if self._running.pop(key, None) is not None:
                    self._written_off.add(key)
                    _log.warning("task %s: its call hangs, written off", task.id)
        if len(self._written_off) >= MOST_WRITTEN_OFF:
            self._on_worn_out()


def _key(task: Task) -> str:
    return f"{task.id}/{task.attempt}"
