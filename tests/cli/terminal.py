"""The real `earmark`, as a person or a script would call it."""

import json
import os
import pty
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.peers import nursery

PATIENCE = 30.0
EARMARK = [sys.executable, "-m", "earmark"]


@dataclass(frozen=True)
class Ended:
    """What one call left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> None:
        """It said no in one clear line, with no traceback and nothing on stdout."""
        lines = self.err.strip().splitlines()
        assert self.code == code, self
        assert "Traceback" not in self.err
        assert self.out == ""
        assert len(lines) == 1, lines
        for word in words:
            assert word in lines[0]


class Running:
    """A process that was started; its lines are read as they come."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self._process = nursery.start(
            nursery.EARMARK,
            words,
            env=environment,
            stdout=nursery.PIPE,
            stderr=nursery.STDOUT,
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.decode().rstrip("\n"))

    def line(self, beginning: str, seconds: float = PATIENCE) -> str:
        """Wait for a line that begins so; returns the rest of it."""
        while True:
            try:
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no {beginning!r} in {self.said}") from None
            self.said.append(line)
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        return self._process.wait(seconds)

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        finally:
            self._let_go()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()
        self._let_go()

    def _let_go(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class Terminal:
    """Calls `earmark` on one database; the tests' own environment does not leak in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database = folder / "earmark.db"
        kept = ("PATH", "PYTHONPATH", "LANG", "TMPDIR", "COVERAGE_PROCESS_START")
        self.environment = {k: os.environ[k] for k in kept if k in os.environ}
        self.environment |= {
            "HOME": str(folder),
            "EARMARK_DATABASE_URL": f"sqlite:///{self.database}",
            "EARMARK_BIND": "127.0.0.1:0",
            "EARMARK_BEAT_SECONDS": "0.2",
            "EARMARK_SILENCE_SECONDS": "3",
            "EARMARK_DRAIN_SECONDS": "5",
            "TERM": "dumb",
        }

    def run(self, *words: str, typed: str = "", **environment: str) -> Ended:
        """Call it and wait; `typed` is its standard input, a pipe."""
        if "PYTHONPATH" in environment:  # only an interpreter of its own begins so
            return self._begin_anew(words, typed, environment)
        with TemporaryFile() as out, TemporaryFile() as err:
            process = nursery.start(
                nursery.EARMARK,
                words,
                env=self.environment | environment,
                stdin=nursery.PIPE,
                stdout=out,
                stderr=err,
            )
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(typed.encode())
            code = process.wait(120)
            return Ended(code, _all_of(out), _all_of(err))

    def _begin_anew(
        self, words: Sequence[str], typed: str, environment: Mapping[str, str]
    ) -> Ended:
        ended = subprocess.run(
            [*EARMARK, *words],
            env={**self.environment, **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def task_count(self) -> int:
        """How many tasks people have asked for: a quick look at the table itself."""
        query = "SELECT count(*) FROM earmark_tasks WHERE command != 'RefreshProvider'"
        with closing(sqlite3.connect(self.database)) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0])

    def json(self, *words: str) -> Any:
        """The document that a call with --json prints."""
        ended = self.run(*words, "--json")
        assert ended.code == 0, ended
        return ended.json

    @contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[Running]:
        """Start it, and end it with SIGTERM afterwards."""
        process = Running(list(words), self.environment | environment)
        try:
            yield process
        finally:
            process.end()

    @contextmanager
    def on_a_tty(self, *words: str) -> "Iterator[Person]":
        """Start it with a person at its standard input, output and error."""
        person = Person(list(words), self.environment | {"TERM": "xterm"})
        try:
            yield person
        finally:
            person.leave()


class Person:
    """Somebody at a terminal of 100 columns."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self._terminal, theirs = pty.openpty()
        self.screen = ""
        self._process = subprocess.Popen(
            EARMARK + words,
            env={**environment, "COLUMNS": "100", "LINES": "30"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def pid(self) -> int:
        return self._process.pid

    def sees(self, words: str) -> None:
        """Wait until the words are on the screen."""
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        while words not in self.screen:
            try:
                self.screen += os.read(self._terminal, 4096).decode(errors="replace")
            except OSError:
                break
        alarm.cancel()
        assert words in self.screen, self.screen

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def presses_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Read the rest of the screen; returns the exit code."""
        while True:
            try:
                read = os.read(self._terminal, 4096)
            except OSError:
                break
            if not read:
                break
            self.screen += read.decode(errors="replace")
        return self._process.wait(PATIENCE)

    def leave(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        os.close(self._terminal)
