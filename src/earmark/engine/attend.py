"""Attend: what goes on in a worker after the task that began it, such as a console.

Nothing durable hangs on it: it dies with the process, and whoever needs it asks again.
"""

import logging
import threading
import time

from earmark.domain.authoring import Attendant
from earmark.domain.errors import Rejected

_log = logging.getLogger(__name__)
#: How many at a time in one process.
MOST = 64
#: How long they get to say goodbye, all at once.
STOP_SECONDS = 2.0


class Attendants:
    """The ones of this process, each in a thread of its own."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._going: set[Attendant] = set()
        self._stopped = ""

    def start(self, attendant: Attendant, name: str) -> None:
        """Run it. Raises `Rejected` when there are too many, or this process ends."""
        with self._lock:
            if self._stopped:
                raise Rejected(f"It cannot go on here: {self._stopped}.")
            if len(self._going) >= self._most:
                raise Rejected(
                    f"This worker attends to {self._most} consoles already.",
                    hint="Close one, or start another worker in the zone.",
                    code="too-many",
                )
            self._going.add(attendant)
        threading.Thread(
            target=self._run, args=(attendant,), name=name, daemon=True
        ).start()

    def stop(self, why: str) -> None:
        """End them all, and start no more."""
        with self._lock:
            self._stopped = why
            going = list(self._going)
        ends = [
            threading.Thread(target=it.end, args=(why,), daemon=True) for it in going
        ]
        for thread in ends:
            thread.start()
        until = time.monotonic() + STOP_SECONDS
        for thread in ends:
            thread.join(max(until - time.monotonic(), 0))

    def _run(self, attendant: Attendant) -> None:
        try:
            attendant.run()
        except Exception:  # noqa: BLE001 - the author's code may raise anything
            _log.exception("%s broke off", threading.current_thread().name)
        finally:
            with self._lock:
                self._going.discard(attendant)
