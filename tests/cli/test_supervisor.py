"""The supervisor, on small programs that die in every way."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from earmark.worker import supervisor as module
from earmark.worker.supervisor import Program, Supervisor
from tests.peers.lab import eventually

GOOD = "import signal; print('ok ready', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ok ready', flush=True)\nwhile True: signal.pause()"
)


def python(name: str, code: str) -> Program:
    return Program(name, [sys.executable, "-c", code], "ok ")


def counting(file: Path, then: str) -> str:
    """Code that notes its pid in a file, then goes on."""
    return f"import os; open({str(file)!r}, 'a').write(f'{{os.getpid()}}\\n'); {then}"


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


class Run:
    """A supervisor in a thread."""

    def __init__(self, *programs: Program, drain_seconds: float = 1.0) -> None:
        self.ready = threading.Event()
        self.supervisor = Supervisor(
            programs, drain_seconds=drain_seconds, on_ready=lambda _: self.ready.set()
        )
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.supervisor.run()

    def stop(self) -> int | None:
        self.supervisor.stop()
        return self.end()

    def end(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.code


def test_all_are_ready_before_it_is_said_and_all_end(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    run = Run(*(python(f.name, counting(f, GOOD)) for f in files))
    assert run.ready.wait(20)
    found = [pid for file in files for pid in pids(file)]
    assert len(found) == 2
    assert run.stop() == 0
    for pid in found:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_is_killed_is_started_again_at_once(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    run = Run(python("x", counting(file, GOOD)))
    assert run.ready.wait(20)
    (first,) = pids(file)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(pids(file)) == 2, "a second process")
    assert run.stop() == 0


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    file = tmp_path / "times"
    code = f"import time; open({str(file)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    run = Run(python("x", code + "; raise SystemExit(1)"))

    def starts() -> list[float]:
        return [float(line) for line in file.read_text().split()]

    eventually(lambda: file.exists() and len(starts()) >= 4, "four starts")
    assert run.stop() == 0
    pauses = [b - a for a, b in zip(starts(), starts()[1:], strict=False)]
    assert pauses[1] >= 0.5
    assert pauses[2] >= 1.0


@pytest.mark.parametrize("code", [2, 69])
def test_a_start_that_is_hopeless_ends_it_all_with_that_code(code: int) -> None:
    run = Run(python("good", GOOD), python("bad", f"raise SystemExit({code})"))
    assert run.end() == code


def test_a_child_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.2)
    file = tmp_path / "pids"
    run = Run(python("x", counting(file, STUBBORN)), drain_seconds=0.2)
    assert run.ready.wait(20)
    assert run.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pids(file)[0], 0)


def test_one_signal_passed_on_twice_is_no_impatience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), exit(0)))\n"
        "print('ok ready', flush=True)\n"
        "while True: signal.pause()"
    )
    run = Run(python("x", slow), drain_seconds=10)
    assert run.ready.wait(20)
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, number: killed.append(pid))
    run.supervisor.stop()
    assert run.stop() == 0
    assert killed == []


def test_asked_again_later_it_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ONE_REQUEST_SECONDS", 0.0)
    run = Run(python("x", STUBBORN), drain_seconds=60)
    assert run.ready.wait(20)
    began = time.monotonic()
    run.supervisor.stop()
    assert run.stop() == 0
    assert time.monotonic() - began < 30
