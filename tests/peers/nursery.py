"""Starts `earmark` processes quickly: a process that has imported the code already and
forks. What it starts are processes like any other, with a pid, an environment and a log
of their own; only the second that the imports take is saved.

Run as a program it is that process: orders come as JSON lines on its standard input,
and it says on its standard output what it started and what has ended. It ends, and
kills what it has started, when its standard input is closed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

_START_SECONDS = 60.0


class Grown:
    """A process that a nursery started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        """Its exit code once it has ended, negative for a signal."""
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """It has ended, and is reaped."""
        self.status = status
        self._ended.set()

    def running(self) -> bool:
        """True while it has not ended."""
        return not self._ended.is_set()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens once it has ended."""
        if self.running():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it has not come by then."""
        return self._ended.wait(seconds)


class Nursery:
    """The forking process, and what it has started."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started: SimpleQueue[Grown] = SimpleQueue()
        self._all: dict[int, Grown] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(
        self, words: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> Grown:
        """Start `earmark WORDS`; what it says goes to the end of `log`."""
        order = {"words": words, "environment": environment, "log": str(log)}
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order, default=list) + "\n")
            self._process.stdin.flush()
            return self._started.get(timeout=_START_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._reader.join(20)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "started" in said:
                grown = Grown(said["started"])
                self._all[grown.pid] = grown
                self._started.put(grown)
            else:
                # Said only after its start, which the same process wrote before.
                self._all.pop(said["ended"]).end(said["status"])


def _tell(**said: Any) -> None:
    # One write, whole: the signal handler's must not end up inside another.
    os.write(1, json.dumps(said).encode() + b"\n")


def _become(order: Mapping[str, Any]) -> None:
    """In the child: be that program, and end with it."""
    from earmark.app import main

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((0, nothing), (1, log), (2, log)):
        os.dup2(theirs, ours)
    os.environ.update(order["environment"])
    sys.argv = ["earmark", *order["words"]]
    status = 70
    try:
        status = main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _nurse() -> None:
    """Serve orders until there are no more."""
    import earmark.app
    import earmark.commands
    import earmark.providers.lab
    import earmark.web.app
    import earmark.worker.process  # noqa: F401 - so that the children have it

    alone = threading.active_count() == 1
    assert alone, "a fork copies no threads, and what they had locked stays locked"
    alive: set[int] = set()

    def reap(*_: object) -> None:
        while alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            alive.discard(pid)
            _tell(ended=pid, status=os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        # A child must be known as started before its end can be told.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            _become(json.loads(line))
        alive.add(pid)
        _tell(started=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    while alive:
        pid, status = os.wait()
        alive.discard(pid)
        _tell(ended=pid, status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _nurse()
