"""The demo's lab: in a session of its own, so that it outlives a demo that is killed,
and found again by the next demo on the same data."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from earmark.cli.address import Address
from earmark.domain.errors import Unavailable

#: The lab's own default; what it guards is simulated.
PASSWORD = "lab-password"  # noqa: S105 - see above
_HOST = "127.0.0.1"
_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_ASK_SECONDS = 0.03


class DemoLab:
    """The lab of one data folder; leaving the context stops it, however it was
    started.

    A signal may raise at any instant, so nothing is started before the context is
    entered, and what was started is known before a signal is let through.
    """

    def __init__(self, folder: Path) -> None:
        self._state = folder / "lab"
        self._record = folder / "lab.json"
        self._pid: int | None = None
        #: True when an earlier demo had left it running.
        self.found = False
        self.url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _undisturbed():
            if self._pid is not None:
                _stop(self._pid)

    def start(self) -> None:
        """Find it running, or start it; raises `Unavailable` when it does not start."""
        port = _remembered(self._record)
        if port is not None:
            self._pid = _find(port, self._state)
            self.found = self._pid is not None
        if not self.found or port is None:
            port = self._begin(_free_port(port))
        self.url = f"http://{_HOST}:{port}"

    def _begin(self, port: int) -> int:
        self._state.mkdir(parents=True, exist_ok=True)
        # Written down first: if we die now, the lab is found all the same.
        self._record.write_text(json.dumps({"port": port}))
        words = ["-m", "earmark", "lab", "--site-name", "Demo"]
        words += ["--state", str(self._state), "--port", str(port)]
        log = self._state / "lab.log"
        with log.open("ab") as output, _undisturbed():
            process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self._pid = process.pid
        _await(process, port, log)
        self._record.write_text(json.dumps({"port": port, "pid": process.pid}))
        return port


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off what signals do until the end of the context."""
    came: list[int] = []
    asking = (signal.SIGINT, signal.SIGTERM)

    def came_now(number: int, _: object) -> None:
        came.append(number)

    before = {n: signal.signal(n, came_now) for n in asking}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _find(port: int, state: Path) -> int | None:
    """The pid of the lab that an earlier demo has left running, if it has."""
    pid = _answers(port)
    return pid if pid is not None and _is_ours(pid, state) else None


def _remembered(record: Path) -> int | None:
    try:
        return int(json.loads(record.read_text())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answers(port: int) -> int | None:
    """The pid of the lab on that port, by its health; None when none answers."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=2)
    try:
        connection.request("GET", "/lab")
        health: Any = json.loads(connection.getresponse().read())
        return int(health["pid"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _is_ours(pid: int, state: Path) -> bool:
    """Another demo's lab may have got the port that ours had once."""
    try:
        return str(state) in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _free_port(wanted: int | None) -> int:
    """The port that it had before, so that its URL stays true; or any free one."""
    try:
        return Address(_HOST, wanted or 0).free().port
    except Unavailable:
        return Address(_HOST, 0).free().port


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while _answers(port) != process.pid:
        if process.poll() is not None or time.monotonic() > give_up:
            said = log.read_text(errors="replace").strip()
            last = said.splitlines()[-1] if said else "it says nothing"
            raise Unavailable(f"The lab did not start: {last}")
        time.sleep(_ASK_SECONDS)


def _stop(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGTERM)
        process.wait(_STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
