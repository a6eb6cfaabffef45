"""Who holds SQLite's write lock. SQLite does not tell, so each writer leaves its mark
in a small file beside the database while it is inside a writing transaction.

A process that is stopped in there would stop the whole house (rule 16). Its mark says
whom to end: a pid with its start time, never an age.
"""

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from earmark.store.identity import own_identity, provably_gone, this_machine

_SIZE = 64


class WriterMark:
    """This process's mark, in `<database>-writer`; one writer at a time writes it,
    since it holds the lock."""

    def __init__(self, database: Path) -> None:
        self._path = mark_path(database)
        self._file: int | None = None
        self._owner = 0
        self._count = 0
        self._lock = threading.Lock()

    def set(self) -> None:
        """We are inside a writing transaction now."""
        with self._lock:
            if self._file is None or self._owner != os.getpid():
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
                self._owner = os.getpid()
                self._who = own_identity()
        self._count += 1
        self._write(f"{self._who.pid} {self._who.pid_started!r} {self._count}")

    def clear(self) -> None:
        """We are out of it."""
        self._write("")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None and self._owner == os.getpid():
            os.close(self._file)
            self._file = None

    def _write(self, text: str) -> None:
        if self._file is not None:
            os.pwrite(self._file, text.ljust(_SIZE).encode(), 0)


def mark_path(database: Path) -> Path:
    """Where the mark of a database is."""
    return database.with_name(database.name + "-writer")


class WriterGuard:
    """Ends a process that holds the write lock for longer than `seconds`."""

    def __init__(self, database: Path, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._seen = ""
        self._since = 0.0

    def look(self) -> int | None:
        """Look once, at least every second or so; returns the pid that was ended."""
        mark = self._read()
        now = time.monotonic()
        if mark != self._seen:
            self._seen, self._since = mark, now
        if not mark or now - self._since < self._seconds:
            return None
        pid_text, started, _ = mark.split()
        pid = int(pid_text)
        if pid == os.getpid() or provably_gone(this_machine(), pid, float(started)):
            return None
        if not self._really_held():
            return None
        os.kill(pid, signal.SIGKILL)
        return pid

    def _read(self) -> str:
        try:
            return mark_path(self._database).read_text().strip()
        except FileNotFoundError:
            return ""

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
