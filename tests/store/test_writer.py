"""A writer that is stopped inside its transaction must not stop the house (rule 16)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from earmark.domain.errors import Unavailable
from earmark.store.database import Database
from earmark.store.identity import started
from earmark.store.writer import WriterGuard, WriterMark, marks_folder
from tests.peers.lab import eventually

STOPS_INSIDE = """
import os, signal, sys
from earmark.store.database import Database
Database(sys.argv[1]).write(lambda tx: os.kill(os.getpid(), signal.SIGSTOP))
"""


def stopped_writer(url: str, code: str = STOPS_INSIDE) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code, url])
    stat = Path(f"/proc/{process.pid}/stat")
    eventually(lambda: ") T " in stat.read_text(), "it stops inside its transaction")
    return process


def test_it_is_ended_and_the_house_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "earmark.db"
    database = Database(f"sqlite:///{file}")
    holder = stopped_writer(f"sqlite:///{file}")
    guard = WriterGuard(file, seconds=0.2)
    assert eventually(guard.look, "the guard ends it") == holder.pid
    assert holder.wait(10) == -signal.SIGKILL
    assert database.write(lambda tx: tx.now)
    database.close()


WANTS_AND_STOPS = """
import os, signal, sys
from earmark.store.database import Database
from earmark.store import writer
writer.WriterMark.has = lambda self: os.kill(os.getpid(), signal.SIGSTOP)
Database(sys.argv[1]).write(lambda tx: None)
"""


def test_one_that_was_stopped_before_it_could_say_so_is_ended_too(
    tmp_path: Path,
) -> None:
    file = tmp_path / "earmark.db"
    database = Database(f"sqlite:///{file}")
    holder = stopped_writer(f"sqlite:///{file}", WANTS_AND_STOPS)
    guard = WriterGuard(file, seconds=0.2)
    assert eventually(guard.look, "the guard ends it") == holder.pid
    assert holder.wait(10) == -signal.SIGKILL
    assert database.write(lambda tx: tx.now)
    database.close()


def test_anothers_late_word_hides_no_holder(tmp_path: Path) -> None:
    """Each process has a mark of its own: nobody can wipe another's."""
    file = tmp_path / "earmark.db"
    database = Database(f"sqlite:///{file}")
    database.write(lambda tx: None)
    holder = stopped_writer(f"sqlite:///{file}")
    WriterMark(file).clear()
    database.close()
    guard = WriterGuard(file, seconds=0.2)
    assert eventually(guard.look, "the guard ends it") == holder.pid
    assert holder.wait(10) == -signal.SIGKILL


def test_a_mark_without_a_lock_ends_nobody(tmp_path: Path) -> None:
    """A stale mark, even of a live process, is no proof: SQLite itself is asked."""
    file = tmp_path / "earmark.db"
    Database(f"sqlite:///{file}").write(lambda tx: None)
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        mark = f"has {started(sleeper.pid)!r} 7".ljust(64)
        (marks_folder(file) / str(sleeper.pid)).write_text(mark)
        guard = WriterGuard(file, seconds=0.0)
        assert [guard.look() for _ in range(3)] == [None] * 3
        assert sleeper.poll() is None
    finally:
        sleeper.communicate(b"\n")


def test_a_transaction_inside_a_transaction_is_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'earmark.db'}")
    with pytest.raises(RuntimeError, match="inside another one"):
        database.write(lambda tx: database.write(lambda inner: None))
    assert database.write(lambda tx: database.read(lambda inner: 7)) == 7
    database.close()


@pytest.mark.slow
def test_without_a_guard_the_lock_is_told(tmp_path: Path) -> None:
    file = tmp_path / "earmark.db"
    holder = stopped_writer(f"sqlite:///{file}")
    try:
        with pytest.raises(Unavailable, match="locked by another process"):
            Database(f"sqlite:///{file}").write(lambda tx: None)
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
