"""The site's durable state: one SQLite file and a directory of sparse disks.

All of it is used from one thread, the event loop's: a transaction never waits for
another, and no half-done change is ever seen. A lock on the directory keeps a
second lab out.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from earmark.lab.config import LabConfig

SCHEMA = """
CREATE TABLE IF NOT EXISTS vms (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    power_state TEXT NOT NULL CHECK (power_state IN ('on', 'off', 'suspended')),
    guest_ignores_shutdown INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY,
    alias TEXT NOT NULL,
    domain TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    token TEXT,
    created_at REAL NOT NULL,
    mark TEXT,
    legality TEXT NOT NULL DEFAULT 'legal' CHECK (legality IN ('legal', 'illegal'))
);
CREATE TABLE IF NOT EXISTS disks (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL REFERENCES vms,
    alias TEXT NOT NULL,
    image TEXT NOT NULL REFERENCES images
);
CREATE TABLE IF NOT EXISTS templates (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    vm TEXT NOT NULL,
    images TEXT NOT NULL,
    token TEXT,
    created_at REAL NOT NULL,
    mark TEXT
);
CREATE TABLE IF NOT EXISTS tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    token TEXT,
    created_at REAL NOT NULL,
    mark TEXT
);
CREATE TABLE IF NOT EXISTS snapshots (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL REFERENCES vms,
    name TEXT NOT NULL,
    token TEXT,
    created_at REAL NOT NULL,
    mark TEXT
);
-- A task's progress is computed from created_at and seconds, so that it goes on
-- while the lab is dead. due_at is when its fate comes; the fate is decided on
-- acceptance (or by a stop), never at the moment of landing.
CREATE TABLE IF NOT EXISTS tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    verb TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('init', 'running', 'aborting', 'finished')),
    fate TEXT NOT NULL CHECK (fate IN ('ok', 'fail', 'abort')),
    result TEXT CHECK (result IN ('ok', 'failed', 'aborted')),
    progress INTEGER,
    message TEXT NOT NULL,
    token TEXT,
    mark TEXT,
    object TEXT NOT NULL,
    params TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at REAL NOT NULL,
    seconds REAL NOT NULL,
    due_at REAL NOT NULL,
    finished_at REAL,
    result_data TEXT,
    hidden INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'finished') = (result IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS tasks_by_token ON tasks (token);
CREATE INDEX IF NOT EXISTS tasks_open ON tasks (due_at) WHERE state != 'finished';
CREATE TABLE IF NOT EXISTS late (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    due_at REAL NOT NULL,
    command TEXT NOT NULL,
    shape TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    verb TEXT,
    token TEXT,
    outcome TEXT,
    status INTEGER
);
CREATE TABLE IF NOT EXISTS effects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    verb TEXT NOT NULL,
    token TEXT,
    object TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fault TEXT NOT NULL,
    verb TEXT,
    times INTEGER,
    after INTEGER NOT NULL,
    seconds REAL,
    probability REAL,
    seed INTEGER NOT NULL,
    matched INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0
);
"""


class StateInUse(RuntimeError):
    """Another lab already works on this state directory."""


class Site:
    """One simulated site, opened; a context manager that closes it.

    Raises StateInUse when another process has the directory.
    """

    def __init__(self, config: LabConfig) -> None:
        self.config = config
        self.disks = config.state / "disks"
        self.disks.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(config.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # The kernel drops this lock with the process, however it dies.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StateInUse(f"another lab uses {config.state}") from None
        self._db = sqlite3.connect(config.state / "lab.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the enclosed changes durable together, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run one statement, in the open transaction if there is one."""
        return self._db.execute(statement, values)

    def row(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found: sqlite3.Row | None = self._db.execute(statement, values).fetchone()
        return found

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._db.execute(statement, values).fetchall()

    def now(self) -> float:
        """Return the wall clock, in seconds since the epoch.

        Not the monotonic clock: durations must also run while the lab is dead.
        """
        return time.time()

    def disk_path(self, image: str) -> Path:
        """Return the file that stands for an image."""
        return self.disks / f"{image}.img"

    def create_disk(self, image: str, size_bytes: int) -> None:
        """Create an image's file with its full apparent size and nothing in it.

        May be repeated: it comes before the commit that makes the image known, so
        after a crash in between it happens again.
        """
        with self.disk_path(image).open("ab") as disk:
            disk.truncate(size_bytes)

    def remove_disk(self, image: str) -> None:
        """Remove an image's file; may be repeated, as ``create_disk`` may."""
        self.disk_path(image).unlink(missing_ok=True)
