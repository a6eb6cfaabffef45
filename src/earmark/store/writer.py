"""Who holds SQLite's write lock. SQLite does not tell, so each process that writes
leaves a mark in a file of its own beside the database: that it wants the lock, then
that it has it, then nothing.

A process that is stopped in there would stop the whole house (rule 16). Its mark says
whom to end: a pid with its start time, never an age.
"""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from earmark.store.identity import own_identity, provably_gone, this_machine

_SIZE = 64
WANTS, HAS = "wants", "has"


def marks_folder(database: Path) -> Path:
    """Where the marks of a database are."""
    return database.with_name(database.name + "-writers")


class WriterMark:
    """This process's own mark. Its threads take turns, so one mark is enough."""

    def __init__(self, database: Path) -> None:
        self._folder = marks_folder(database)
        self._file: int | None = None
        self._path: Path | None = None
        self._owner = 0
        self._count = 0
        self._lock = threading.Lock()

    def wants(self) -> None:
        """We are about to begin a writing transaction."""
        with self._lock:
            if self._file is None or self._owner != os.getpid():
                self._open()
        self._count += 1
        self._write(WANTS)

    def has(self) -> None:
        """It has begun: the lock is ours."""
        self._write(HAS)

    def clear(self) -> None:
        """It is over."""
        self._write("")

    def close(self) -> None:
        """Take the mark away."""
        if self._file is not None and self._owner == os.getpid():
            os.close(self._file)
            self._file = None
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._who = own_identity()
        self._owner = self._who.pid
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._path = self._folder / str(self._who.pid)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)

    def _write(self, phase: str) -> None:
        if self._file is None:
            return
        text = f"{phase} {self._who.pid_started!r} {self._count}" if phase else ""
        os.pwrite(self._file, text.ljust(_SIZE).encode(), 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as it was read."""

    pid: int
    phase: str
    pid_started: float
    count: str


class WriterGuard:
    """Ends a process that holds the write lock for longer than `seconds`."""

    def __init__(self, database: Path, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._since: dict[Mark, float] = {}

    def look(self) -> int | None:
        """Look once, at least every second or so; returns the pid that was ended.

        Whoever has had the lock unchanged for too long is ended. If nobody says so,
        it may be one that was stopped between taking the lock and saying it: of those
        that want it, only one that the system has stopped.
        """
        now = time.monotonic()
        marks = list(self._marks())
        self._since = {mark: self._since.get(mark, now) for mark in marks}
        old = [m for m in marks if now - self._since[m] >= self._seconds]
        suspects = [m for m in old if m.phase == HAS]
        suspects += [m for m in old if m.phase == WANTS and _is_stopped(m.pid)]
        for mark in suspects:
            if not _lives(mark) or mark not in set(self._marks()):
                continue
            if self._really_held():
                os.kill(mark.pid, signal.SIGKILL)
                return mark.pid
        return None

    def _marks(self) -> Iterator[Mark]:
        with suppress(FileNotFoundError):
            for path in marks_folder(self._database).iterdir():
                with suppress(FileNotFoundError, ValueError):
                    phase, started, count = path.read_text().split()
                    yield Mark(int(path.name), phase, float(started), count)

    def _really_held(self) -> bool:
        """Ask SQLite itself, without waiting."""
        with closing(sqlite3.connect(self._database, timeout=0)) as connection:
            connection.isolation_level = None
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return True
        return False


def _lives(mark: Mark) -> bool:
    own = mark.pid == os.getpid()
    return not own and not provably_gone(this_machine(), mark.pid, mark.pid_started)


def _is_stopped(pid: int) -> bool:
    """True when SIGSTOP holds it, as the system says."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")
