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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from earmark.cli.address import Address
from earmark.domain.errors import Unavailable

#: The lab's own default; what it guards is simulated.
PASSWORD = "lab-password"  # noqa: S105
_HOST = "127.0.0.1"
_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_ASK_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class DemoLab:
    """A running lab."""

    url: str
    pid: int
    found: bool


@contextmanager
def demo_lab(folder: Path) -> Iterator[DemoLab]:
    """Find the lab of this folder or start it; stop it at the end.

    Raises `Unavailable` when it does not start.
    """
    state = folder / "lab"
    record = folder / "lab.json"
    lab = _find(record, state)
    if lab is None:
        lab = _start(record, state)
    try:
        yield lab
    finally:
        _stop(lab.pid)


def _find(record: Path, state: Path) -> DemoLab | None:
    """The lab that an earlier demo has left running."""
    port = _remembered(record)
    pid = _answers(port) if port else None
    if port is None or pid is None or not _is_ours(pid, state):
        return None
    return DemoLab(f"http://{_HOST}:{port}", pid, found=True)


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


def _start(record: Path, state: Path) -> DemoLab:
    state.mkdir(parents=True, exist_ok=True)
    port = _free_port(_remembered(record))
    # Written down first: if we die now, the lab is found all the same.
    record.write_text(json.dumps({"port": port}))
    words = ["-m", "earmark", "lab", "--state", str(state), "--port", str(port)]
    words += ["--site-name", "Demo"]
    with (state / "lab.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await(process, port, state)
    except BaseException:
        process.kill()
        process.wait()
        raise
    record.write_text(json.dumps({"port": port, "pid": process.pid}))
    return DemoLab(f"http://{_HOST}:{port}", process.pid, found=False)


def _free_port(wanted: int | None) -> int:
    """The port that it had before, so that its URL stays true; or any free one."""
    try:
        return Address(_HOST, wanted or 0).free().port
    except Unavailable:
        return Address(_HOST, 0).free().port


def _await(process: "subprocess.Popen[bytes]", port: int, state: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while _answers(port) != process.pid:
        if process.poll() is not None or time.monotonic() > give_up:
            said = (state / "lab.log").read_text(errors="replace").strip()
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
