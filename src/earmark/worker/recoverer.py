"""The recoverer: what dead, silent or hung workers left is taken over.

Every worker does it; the writes are compare-and-set, so it does not matter who comes
first (rule 7).
"""

import logging
from typing import Any

from earmark.engine import recover
from earmark.engine.expire import expire
from earmark.engine.runtime import Engine
from earmark.store import workers
from earmark.store.identity import provably_gone
from earmark.worker.heartbeat import Heartbeat, Listener

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


class Recoverer:
    """Looks after the other workers."""

    def __init__(
        self, engine: Engine, worker_id: str, heartbeat: Heartbeat, window: float
    ) -> None:
        self._engine = engine
        self._worker_id = worker_id
        self._heartbeat = heartbeat
        self._listener = Listener(window)

    def round(self) -> float:
        """Attest the dead of this host at once, note the silent, end hung calls."""
        others = [
            row for row in self._engine.read(workers.alive) if row.id != self._worker_id
        ]
        gone = [r for r in others if provably_gone(r.machine, r.pid, r.pid_started)]
        for row in gone:
            count = recover.worker_gone(
                self._engine, row.id, f"worker {row.id} (pid {row.pid}) is gone"
            )
            _log.warning("worker %s is gone; %s", row.id, _in_its_hands(count))
        recover.left_by_the_gone(self._engine)
        self._note_silent([row for row in others if row not in gone])
        recover.overdue(self._engine)
        expire(self._engine)
        return _PAUSE_SECONDS

    def _note_silent(self, others: list[Any]) -> None:
        beats = {row.id: row.beat for row in others}
        silent = self._listener.silent(beats)
        if not self._heartbeat.steady_for(self._listener.window):
            return
        for worker_id in silent:
            why = f"worker {worker_id} has not been heard for {self._listener.window}s"
            count = recover.worker_silent(self._engine, worker_id, why)
            if count:
                _log.warning("worker %s is silent; %d tasks taken", worker_id, count)


def _in_its_hands(count: int) -> str:
    if not count:
        return "no task was left in its hands"
    return "1 task recovered" if count == 1 else f"{count} tasks recovered"
