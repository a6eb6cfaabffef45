"""The named instants between the steps of the path, where a process can die.

Nothing happens at a boundary unless a test asks for it. By the environment:
`EARMARK_CRASH_AT=name` kills this process there with SIGKILL, `EARMARK_STOP_AT=name`
stops it with SIGSTOP; `name:3` means the third time that it comes there. Inside the
process: `watched` calls a function there, which can end or hold up the thread.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Every boundary, in the order in which a command meets them.
BOUNDARIES = (
    "claim.committed",
    "plan.committed",
    "prepare.done",
    "send.committed",
    "send.answered",
    "bind.committed",
    "poll.answered",
    "probe.answered",
    "cancel.asked",
    "settle.committed",
    "act.answered",
    "finish.started",
    "undo.started",
    "undo.planned",
)

_SIGNALS = {"EARMARK_CRASH_AT": signal.SIGKILL, "EARMARK_STOP_AT": signal.SIGSTOP}
_counts: dict[str, int] = {}
_lock = threading.Lock()
_watchers: list[Callable[[str], None]] = []


class Killed(BaseException):
    """A test ends this thread here, as if its process had died.

    No code of ours or of an author's may catch it; a transaction that it passes through
    is rolled back, as the database does for a process that is gone.
    """


@contextmanager
def watched(watch: Callable[[str], None]) -> Iterator[None]:
    """For tests: call `watch` with the name at every boundary, in the very thread that
    comes there. It may raise `Killed`, or wait, which is SIGSTOP for one thread."""
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)


def boundary(name: str) -> None:
    """Mark an instant between two steps."""
    assert name in BOUNDARIES, name
    for variable, deed in _SIGNALS.items():
        wanted = os.environ.get(variable)
        if not wanted:
            continue
        at, _, turn = wanted.partition(":")
        if at != name:
            continue
        with _lock:
            _counts[name] = count = _counts.get(name, 0) + 1
        if count == int(turn or 1):
            # To this very thread: a signal to the process may reach another thread
            # first, and this one would go on for a while.
            signal.pthread_kill(threading.get_ident(), deed)
    for watch in tuple(_watchers):
        watch(name)
