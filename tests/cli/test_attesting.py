"""What a person attests because no process can know it: a host is off, a database was
put back."""

import sqlite3
from contextlib import closing

from tests.cli.terminal import Terminal


def epoch_of(terminal: Terminal) -> str:
    """The installation's epoch, by SQLite itself."""
    with closing(sqlite3.connect(terminal.database)) as connection:
        query = "SELECT epoch FROM earmark_installation"
        return str(connection.execute(query).fetchone()[0])


def test_a_restore_is_said_by_hand(migrated: Terminal) -> None:
    before = epoch_of(migrated)
    said = migrated.run("db", "restored")
    assert (said.code, "0 unfinished tasks" in said.out) == (0, True), said
    assert epoch_of(migrated) != before


def test_only_a_silent_worker_is_fenced(migrated: Terminal) -> None:
    migrated.run("workers", "fence", "nobody", "--yes").refused(2, "nobody")
    with migrated.running("worker") as worker:
        worker.line("worker ready ")
        (row,) = migrated.json("workers", "ls")
        migrated.run("workers", "fence", row["id"], "--yes").refused(1, "alive")
