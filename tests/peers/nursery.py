"""Starts `earmark` and labs quickly: a process that has imported the code already and
forks. What it starts are processes like any other, with a pid, an environment and
files of their own; only the half second of CPU that the imports take is saved, some
thousand times in a whole run.

`start` is for tests. Run as a program it is the forking process: orders come as
packets, with the files of the new process attached, and it says what it started and
what has ended. It ends, and kills what it has started, when nobody is there any more.
"""

import atexit
import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from queue import SimpleQueue
from typing import IO, Any

EARMARK = "earmark"
LAB = "earmark.lab"

_START_SECONDS = 60.0
_MOST_BYTES = 1 << 17

#: As `subprocess.Popen` has them.
File = int | IO[Any]
PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


class Forked:
    """A process that a nursery started, with what `subprocess.Popen` has for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """Its exit code once it has ended, negative for a signal."""
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """It has ended, and is reaped."""
        self.returncode = status
        self._ended.set()

    def poll(self) -> int | None:
        """Its exit code, or None while it has not ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens once it has ended."""
        if self.poll() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    program: str,
    words: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: File = DEVNULL,
    stdout: File = DEVNULL,
    stderr: File = DEVNULL,
) -> Forked:
    """Start `EARMARK` or `LAB` with these words; all else is as for `Popen`."""
    return _nursery().start(program, words, env or os.environ, stdin, stdout, stderr)


@cache
def _nursery() -> "_Nursery":
    nursery = _Nursery()
    atexit.register(nursery.close)
    return nursery


class _Nursery:
    """The forking process, and what it has started."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._started: SimpleQueue[Forked | None] = SimpleQueue()
        self._all: dict[int, Forked] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(
        self,
        program: str,
        words: Sequence[str],
        env: Mapping[str, str],
        stdin: File,
        stdout: File,
        stderr: File,
    ) -> Forked:
        order = {"program": program, "words": words, "env": dict(env)}
        packet = json.dumps(order | {"cwd": os.getcwd()}).encode()
        to = out = None
        with ExitStack() as stack:
            nothing = os.open(os.devnull, os.O_RDWR)
            stack.callback(os.close, nothing)
            theirs = []
            for number, file in enumerate((stdin, stdout, stderr)):
                if file == PIPE:
                    reads, writes = os.pipe()
                    child, ours = (reads, writes) if number == 0 else (writes, reads)
                    stack.callback(os.close, child)
                    if number == 0:
                        to = os.fdopen(ours, "wb", buffering=0)
                    else:
                        out = os.fdopen(ours, "rb")
                    theirs.append(child)
                elif file == STDOUT:
                    theirs.append(theirs[1])
                elif file == DEVNULL:
                    theirs.append(nothing)
                else:
                    theirs.append(file if isinstance(file, int) else file.fileno())
            with self._lock:
                socket.send_fds(self._socket, [packet], theirs)
                forked = self._started.get(timeout=_START_SECONDS)
        assert forked is not None, "the nursery has ended"
        forked.stdin, forked.stdout = to, out
        return forked

    def close(self) -> None:
        """End it, and what it has started."""
        self._socket.shutdown(socket.SHUT_WR)
        self._process.wait(20)
        self._reader.join(20)
        self._socket.close()

    def _read(self) -> None:
        while packet := self._socket.recv(_MOST_BYTES):
            said = json.loads(packet)
            if "started" in said:
                forked = Forked(said["started"])
                self._all[forked.pid] = forked
                self._started.put(forked)
            else:
                # Said only after its start, by the same process.
                self._all.pop(said["ended"]).end(said["status"])
        self._started.put(None)


def _nurse(door: socket.socket) -> int:
    """Serve orders until there are no more; in a child, be what was ordered."""
    import earmark.app
    import earmark.commands
    import earmark.lab.server
    import earmark.web.app
    import earmark.worker.process  # noqa: F401 - so that the children have it
    from earmark.providers.registry import load_connectors

    load_connectors()
    assert threading.active_count() == 1, "a fork copies no threads, but their locks"
    gc.freeze()
    alive: set[int] = set()

    def reap(*_: object) -> None:
        while alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            alive.discard(pid)
            _tell(door, ended=pid, status=os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    while True:
        packet, files, _, _ = socket.recv_fds(door, _MOST_BYTES, 3)
        if not packet:
            break
        # A child must be known as started before its end can be told.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            door.close()
            return _become(json.loads(packet), files)
        alive.add(pid)
        for file in set(files):
            os.close(file)
        _tell(door, started=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    for pid in alive:
        os.waitpid(pid, 0)
    return 0


def _become(order: Mapping[str, Any], files: Sequence[int]) -> int:
    """In the child: be that program, with its own files and environment."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in set(files):
        os.close(file)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    out = io.BufferedWriter(io.FileIO(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8")
    err = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(
        err, encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    asked = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in asked if folder not in sys.path]
    sys.argv = [order["program"], *order["words"]]
    if order["program"] == LAB:
        from earmark.lab.__main__ import main as lab

        return lab()
    from earmark.app import main as earmark

    return earmark()


def _tell(door: socket.socket, **said: Any) -> None:
    # One packet, whole: the signal handler's cannot end up inside another.
    door.send(json.dumps(said).encode())


if __name__ == "__main__":
    sys.exit(_nurse(socket.socket(fileno=int(sys.argv[1]))))
