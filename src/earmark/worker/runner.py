"""The runner: claims tasks in batches and runs each in a thread of its own.

A thread that hangs in an author's call cannot be ended. When the task was taken away
from it (its deadline passed, see `engine.recover`), the thread is written off: its slot
is free again, and a worker with too many of those drains and is replaced (rule 6).
"""

import logging
import threading
import time
from collections.abc import Callable

from earmark.domain.task import Task
from earmark.engine.claim import claim
from earmark.engine.perform import perform
from earmark.engine.runtime import Engine
from earmark.store import queue, tasks

_log = logging.getLogger(__name__)

#: Written-off threads before the worker is replaced.
MOST_WRITTEN_OFF = 8
_IDLE_SECONDS = 2.0
_CHECK_SECONDS = 1.0


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
        self._checked_at = 0.0
        self._free = threading.Event()
        self.on_free: Callable[[], None] = lambda: None

    def round(self) -> float:
        """Claim what fits and start it; returns how long to wait for more."""
        self._write_off_lost()
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
        key = f"{task.id}/{task.attempt}"
        with self._lock:
            self._running[key] = (task, time.monotonic())
        name = f"task-{task.id}"
        threading.Thread(
            target=self._run, args=(key, task), name=name, daemon=True
        ).start()

    def _run(self, key: str, task: Task) -> None:
        try:
            perform(self._engine, task)
        except Exception:  # noqa: BLE001 - see below
            # What state it is in stands in the database; recovery goes on from there.
            _log.exception("task %s: this attempt broke off", task.id)
        finally:
            with self._lock:
                self._running.pop(key, None)
                self._written_off.discard(key)
            self._free.set()
            self.on_free()

    def _write_off_lost(self) -> None:
        """Free the slots of threads whose task is no longer theirs."""
        now = time.monotonic()
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        with self._lock:
            old = {k: t for k, (t, at) in self._running.items() if now - at > 2}
        if not old:
            return
        ours = self._engine.read(lambda tx: tasks.running_of(tx, self._worker_id))
        still = {f"{task.id}/{task.attempt}" for task in ours}
        for key in set(old) - still:
            with self._lock:
                if self._running.pop(key, None) is not None:
                    self._written_off.add(key)
                    _log.warning("task %s: its call hangs, written off", old[key].id)
        if len(self._written_off) >= MOST_WRITTEN_OFF:
            self._on_worn_out()
