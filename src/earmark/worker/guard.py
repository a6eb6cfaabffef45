"""On SQLite, somebody watches that nobody sits on the write lock (rule 16): every
worker, and the supervisor of `earmark up`, which writes nothing itself."""

import logging
from pathlib import Path

from earmark.store.writer import WriterGuard
from earmark.worker.looper import Looper

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


def guard_writers(file: Path, seconds: float) -> Looper:
    """Start watching; `seconds` is how long a process may hold the lock."""
    guard = WriterGuard(file, seconds)

    def look() -> float:
        pid = guard.look()
        if pid is not None:
            _log.error("process %d held the write lock too long: ended", pid)
        return _PAUSE_SECONDS

    looper = Looper("writer-guard", look)
    looper.start()
    return looper
