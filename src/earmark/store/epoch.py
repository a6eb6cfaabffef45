"""The store's epoch: is this still the store that it was, or an older copy of it?

A store that was put back from a copy does not know what was sent since. So it is told
apart from itself by what a copy cannot have (rule 15):

- On PostgreSQL, the system identifier, the timeline, and the numbers of the database
  and of our table in it: a failover, a restored server and a restored dump change them.
- Beside SQLite, a file with the epoch, the highest count that was ever committed, and
  the number of the database's file: a copied folder has another one.
- On both, that count, `heard`: it goes up with every beat of a worker, and a worker
  that lives through it notices when the store shows less than it has seen.

Whoever finds a difference begins a new epoch: every task that is not done is marked
`restored`, and its effects are looked for at the provider before they are sent.

What is not noticed: a copy made since the last beat; a whole host put back, the file
with the database, or a PostgreSQL server put back in place as a whole, while no worker
lived through it. `begin` says it by hand.

Some of that is found in a copy beside its original too, and nobody but a person knows
which it is. `copy_of` tells when to ask.
"""

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.domain.states import TaskState
from earmark.store import commits, dialect, journal
from earmark.store.database import Database, Transaction
from earmark.store.schema import installation, tasks
from earmark.store.wakeups import Topic

_log = logging.getLogger(__name__)
_LOCK = "earmark:epoch"
_OF_DATABASE = "(SELECT oid FROM pg_database WHERE datname = current_database())"
_OF_TABLE = "CAST('earmark_installation' AS regclass)::oid"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the file beside SQLite says: the epoch, how far it was counted, and the
    number of the file that it stands beside; 0 if that is not known."""

    epoch: str
    heard: int
    inode: int = 0

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """What was written last; None when there is nothing to be read."""
        with suppress(OSError, ValueError):
            heard, epoch, inode = file.read_text().split()
            return cls(epoch, int(heard), int(inode))
        return None

    def write(self, file: Path) -> None:
        """Put it in the place of what was there: all of it or nothing, and durably."""
        new = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, f"{self.heard} {self.epoch} {self.inode}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(file)


def memory_file(database: Path) -> Path:
    """Where the memory of a SQLite database is."""
    return database.with_name(database.name + "-epoch")


def check(database: Database) -> None:
    """See that this is the store that it was; else begin a new epoch."""
    remember(database.file, database.write(lambda tx: confirm(tx, database.file)))


def confirm(tx: Transaction, file: Path | None, seen: int = 0) -> int:
    """See that this is the store that it was, and count on; else begin a new epoch.

    `file` is the SQLite database, None on PostgreSQL; `seen` is what the caller saw
    committed last. Returns what it counts to: once this has committed, and only then,
    it is for `remember`, and to be given the next time.
    """
    why, heard = _look(tx, file, seen)
    if not why:
        return _count(tx, heard)
    dialect.lock_names(tx.connection, [_LOCK])
    why, heard = _look(tx, file, seen)  # another may have been first
    if not why:
        return heard
    _log.warning(
        "this is not the store that it was (%s): what is unfinished is asked about "
        "before it is sent; if the original goes on too, stop here and say "
        "`earmark db copied`",
        why,
    )
    return begin(tx, file, why, seen)


def current(tx: Transaction) -> str:
    """The epoch that the store is in, as one word; empty before the first look."""
    found: str = tx.execute(sa.select(installation.c.epoch)).scalar_one()
    return found


def unchanged(tx: Transaction, file: Path | None, seen: int = 0) -> bool:
    """True while this is the store that it was, as far as it shows: for whoever acts
    between two beats. `seen` as in `confirm`. Changes nothing."""
    row = tx.execute(sa.select(installation)).one()
    return not (row.epoch and _difference(tx, file, row.epoch, row.heard, seen))


def begin(tx: Transaction, file: Path | None, why: str, seen: int = 0) -> int:
    """Begin a new epoch: mark every task that is not done; returns as `confirm`."""
    dialect.lock_names(tx.connection, [_LOCK])
    row = tx.execute(sa.select(installation)).one()
    known = Memory.read(memory_file(file)) if file is not None else None
    # Above whatever anybody has seen, so that nobody is alarmed again.
    heard = max(row.heard, seen, known.heard if known else 0) + 1
    marked = tx.execute(
        sa.update(tasks)
        .where(tasks.c.state != TaskState.DONE)
        .values(restored=True, version=tasks.c.version + 1, updated_at=tx.now)
    )
    journal.note(tx, "engine", "restore", None, why=why, tasks=marked.rowcount)
    tx.wake(Topic.CHANGES)
    return _write_epoch(tx, file, heard)


def remember(file: Path | None, heard: int) -> None:
    """Beside SQLite, keep how far it was counted: after the commit that counted."""
    if file is None:
        return
    known = Memory.read(memory_file(file))
    if known is not None and known.heard < heard:
        Memory(known.epoch, heard, known.inode).write(memory_file(file))


def copy_of(tx: Transaction, file: Path | None) -> str:
    """What shows that this may be a copy that was made beside its original, in words;
    empty when nothing does, as after a failover, or a backup put in its place."""
    was: str = tx.execute(sa.select(installation.c.epoch)).scalar_one()
    if was == "":
        return ""
    if file is None:
        return _original_on_this_server(tx, was.rpartition("/")[0].split("-"))
    known = Memory.read(memory_file(file))
    if known is None:
        return _missing(file)
    return _another_file(file, known)


def _original_on_this_server(tx: Transaction, was: list[str]) -> str:
    """Of a fingerprint's words the last two are the database and our table in it."""
    now = _fingerprint(tx).split("-")
    if was[:-2] != now[:-2] or was[-2] == now[-2]:
        return ""
    query = sa.text("SELECT datname FROM pg_database WHERE oid = CAST(:oid AS oid)")
    original = tx.execute(query, {"oid": was[-2]}).scalar_one_or_none()
    return (
        f"it was database {original}, which is on this server too" if original else ""
    )


def _missing(file: Path) -> str:
    return f"{memory_file(file).name} is missing: this may be a copy"


def _another_file(file: Path, known: Memory) -> str:
    there = dialect.which_file(file)
    if known.inode and there is not None and there[1] != known.inode:
        return f"{memory_file(file).name} was written beside another file"
    return ""


def _look(tx: Transaction, file: Path | None, seen: int) -> tuple[str, int]:
    """What shows that this is another store, in words, empty when nothing does; and
    how far it counts. The very first look finds no epoch and gives it one."""
    row = tx.execute(sa.select(installation)).one()
    if row.epoch == "":
        return "", _write_epoch(tx, file, row.heard)
    return _difference(tx, file, row.epoch, row.heard, seen), row.heard


def _difference(
    tx: Transaction, file: Path | None, epoch: str, heard: int, seen: int
) -> str:
    if heard < seen:
        return f"the store counts {heard}, and {seen} was seen committed"
    if file is None:
        fingerprint = _fingerprint(tx)
        was = epoch.rpartition("/")[0]
        if was != fingerprint:
            return f"the store was {was}, and is {fingerprint}"
        return ""
    known = Memory.read(memory_file(file))
    if known is None:
        return _missing(file)
    if known.epoch != epoch:
        return f"{memory_file(file).name} is of another epoch"
    if known.heard > heard:
        return f"the store counts {heard}, and {known.heard} was committed once"
    return _another_file(file, known)


def _write_epoch(tx: Transaction, file: Path | None, heard: int) -> int:
    """The file is written before the commit: if that fails, the file is of another
    epoch than the store, and the next to look begins anew."""
    epoch = f"{'file' if file else _fingerprint(tx)}/{new_id()}"
    tx.execute(sa.update(installation).values(epoch=epoch, heard=heard))
    if file is not None:
        there = dialect.which_file(file)
        Memory(epoch, heard, there[1] if there else 0).write(memory_file(file))
    return heard


def _count(tx: Transaction, heard: int) -> int:
    """Count on, unless another is at it: his counting is as good, and one that hangs
    in his transaction must not stop everybody's beats (rule 16)."""
    free = dialect.for_update(sa.select(installation.c.id), skip_locked=True)
    counted = tx.execute(
        sa.update(installation)
        .where(installation.c.id.in_(free))
        .values(heard=installation.c.heard + 1)
        .returning(installation.c.heard)
    ).scalar_one_or_none()
    return heard if counted is None else counted


def _fingerprint(tx: Transaction) -> str:
    """What a PostgreSQL store is known by, as one word."""
    words = f"{commits.lineage(tx.connection)}, {_OF_DATABASE}, {_OF_TABLE}"
    found: str = tx.connection.exec_driver_sql(
        f"SELECT replace(concat_ws(' ', {words}), ' ', '-')"
    ).scalar_one()
    return found
