"""A loop in a thread of its own, that outlives any error in its round."""

import logging
import threading
from collections.abc import Callable

from earmark.store.wakeups import Signal

_log = logging.getLogger(__name__)
_AFTER_ERROR_SECONDS = 1.0


class Looper:
    """Calls `round_` again and again until stopped.

    A round returns how many seconds to pause, at most; `wakes` cuts the pause short: a
    subscription to commits, or nothing but `nudge`. A round that raises is logged, and
    the next comes after a second: the loop that rescues others must not get stuck.
    """

    def __init__(
        self, name: str, round_: Callable[[], float], wakes: Signal | None = None
    ) -> None:
        self.name = name
        self._round = round_
        self._wakes = wakes or Signal(frozenset())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def nudge(self) -> None:
        """Let the next round come at once."""
        self._wakes.set()

    def stop(self) -> None:
        """Ask for the end; the round under way is finished."""
        self._stopped.set()
        self._wakes.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False when it has not come by then."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                pause = self._round()
            except Exception:  # noqa: BLE001 - the loop outlives whatever it was
                _log.exception("%s: a round failed", self.name)
                pause = _AFTER_ERROR_SECONDS
            self._wakes.wait(pause)
