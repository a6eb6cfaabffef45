"""The heartbeat: a counter that goes up, from a thread of its own, however busy the
worker is. And listening to the others' beats: silence is noticed, never taken for
death (rules 1, 14)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from earmark.engine.runtime import Engine
from earmark.store import epoch, workers
from earmark.store.database import Transaction


class Heartbeat:
    """Beats for one worker. `on_lost` is called once when somebody proved it gone."""

    def __init__(
        self,
        engine: Engine,
        worker_id: str,
        seconds: float,
        on_lost: Callable[[], None],
    ) -> None:
        self.state = "live"
        self._engine = engine
        self._worker_id = worker_id
        self._seconds = seconds
        self._on_lost = on_lost
        #: When beats began to succeed without a gap, on our own monotonic clock.
        self.steady_since: float | None = None
        self._last: float | None = None
        self._file = engine.database.file
        #: How far the store was last seen to count: one that shows less is an older
        #: copy of itself, put back under us (rule 15).
        self.heard = 0

    def round(self) -> float:
        """Beat once; returns the pause."""
        began = time.monotonic()
        beaten, self.heard = self._engine.write(self._beat)
        if not beaten:
            self._on_lost()
        epoch.remember(self._file, self.heard)
        ended = time.monotonic()
        slow = ended - (self._last or began) > 3 * self._seconds
        if self.steady_since is None or slow:
            self.steady_since = ended  # a slow store makes everybody look silent
        self._last = ended
        return self._seconds

    def _beat(self, tx: Transaction) -> tuple[bool, int]:
        heard = epoch.confirm(tx, self._file, self.heard)
        return workers.beat(tx, self._worker_id, self.state), heard

    def steady_for(self, seconds: float) -> bool:
        """True when our own beats have succeeded for so long, until just now."""
        if self.steady_since is None or self._last is None:
            return False
        now = time.monotonic()
        fresh = now - self._last <= 3 * self._seconds
        return fresh and now - self.steady_since >= seconds


@dataclass(slots=True)
class Listener:
    """Notices whose counter has not changed for a whole window of our own clock."""

    window: float
    _heard: dict[str, tuple[int, float]] = field(default_factory=dict)

    def silent(self, beats: dict[str, int]) -> list[str]:
        """Of the workers and their counters now, those silent for the window."""
        now = time.monotonic()
        for worker_id, beat in beats.items():
            if self._heard.get(worker_id, (None, 0.0))[0] != beat:
                self._heard[worker_id] = (beat, now)
        self._heard = {w: heard for w, heard in self._heard.items() if w in beats}
        return [w for w, (_, at) in self._heard.items() if now - at >= self.window]
