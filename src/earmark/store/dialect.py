"""Every difference between SQLite and PostgreSQL, and no other file has any."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from earmark.domain.errors import BadInput, Unavailable
from earmark.store import clock, commits

#: PostgreSQL: serialization failure, deadlock, lock timeout (rules 10, 16).
_RETRYABLE_SQLSTATES = {"40001", "40P01", "55P03"}
#: PostgreSQL: connection trouble, and ended by an operator, a crash, a timeout.
_ENDED_SQLSTATES = ("08", "57P0", "25P03")
#: PostgreSQL: a standby, that is not promoted yet.
_READ_ONLY_SQLSTATE = "25006"
_POSTGRES_OPTIONS = (
    "-c timezone=UTC -c synchronous_commit=on -c lock_timeout=10s"
    " -c idle_in_transaction_session_timeout=60s"
)
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"}
_BUSY_SECONDS = 10.0


def parse(url: str) -> URL:
    """Read a database URL; raises `BadInput` for any other kind of database."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput(
            f"{url!r} is not a database URL.",
            hint="Use sqlite:///path/to/file.db or postgresql://user@host/name.",
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "postgresql+psycopg"):
        if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
            raise BadInput(
                "An in-memory database cannot keep promises.",
                hint="Give a file: sqlite:///path/to/file.db",
            )
        return parsed
    raise BadInput(
        f"Earmark does not run on {parsed.drivername}.",
        hint="Use a sqlite:/// or postgresql:// URL.",
    )


def create_engine(url: URL) -> sa.Engine:
    """An engine with the durability that the protocol needs (rules 15, 16)."""
    if url.drivername != "sqlite":
        return sa.create_engine(
            url,
            # What was to be written may be anybody's: no error's text shows it.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=30,
            connect_args={"options": _POSTGRES_OPTIONS, "connect_timeout": 10},
        )
    path = Path(str(url.database))
    _refuse_network_file_system(path)
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=30,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        record.info["file"] = which_file(path)

    @event.listens_for(engine, "checkout")
    def _follow(_: Any, record: Any, __: Any) -> None:
        # What is written to a file that another has replaced, nobody reads again.
        if which_file(path) not in (record.info["file"], None):
            raise sa.exc.InvalidatePoolError("the database file was replaced")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes the lock at once: an upgrade from a read could only fail.
        connection.exec_driver_sql(
            "BEGIN IMMEDIATE" if _writes(connection) else "BEGIN"
        )

    return engine


def which_file(path: Path) -> tuple[int, int] | None:
    """Which file stands there now, whatever its name was; None while there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _writes(connection: sa.Connection) -> bool:
    """True in a transaction that was begun to write (see `Database.write`)."""
    return bool(connection.get_execution_options().get("earmark_writes", False))


def _refuse_network_file_system(path: Path) -> None:
    """SQLite's locks do not hold across a network file system (rule 15)."""
    mounts = sorted(
        (p for p in psutil.disk_partitions(all=True)), key=lambda p: -len(p.mountpoint)
    )
    where = str(path.resolve())
    for mount in mounts:
        if where.startswith(mount.mountpoint.rstrip("/") + "/"):
            if mount.fstype in _NETWORK_FILE_SYSTEMS:
                raise Unavailable(
                    f"{path} is on a network file system ({mount.fstype}).",
                    hint="Put the SQLite file on a local disk, or use PostgreSQL.",
                )
            return


def is_sqlite(connection: sa.Connection) -> bool:
    """True on SQLite."""
    return connection.dialect.name == "sqlite"


def now(connection: sa.Connection) -> datetime:
    """The store's time: PostgreSQL's own, or a steady one for a file (rule 14)."""
    if is_sqlite(connection):
        return clock.now(connection, writes=_writes(connection))
    value = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    assert isinstance(value, datetime)
    return value.astimezone(UTC)


def follow_wall_clock(connection: sa.Connection) -> timedelta:
    """Let the clock of a file catch up with the host's, if nothing stands in the way;
    returns by how much it was moved. A server's clock is the server's affair."""
    return clock.follow(connection) if is_sqlite(connection) else timedelta(0)


def ahead_of_wall_clock(connection: sa.Connection) -> timedelta:
    """By how much the clock of a file is ahead of the host's; negative: behind."""
    if not is_sqlite(connection):
        return timedelta(0)
    return now(connection) - clock.wall()


def retryable(error: sa.exc.DBAPIError) -> bool:
    """True when the same transaction may succeed if it is simply run again."""
    original = error.orig
    if getattr(original, "sqlstate", None) in _RETRYABLE_SQLSTATES:
        return True
    text = str(original)
    return "database is locked" in text or "database table is locked" in text


def unreachable(error: sa.exc.DBAPIError) -> bool:
    """True when no connection could be made, or only one to a standby: nothing was
    begun, and the server may be back in a moment (a restart, a failover)."""
    if getattr(error.orig, "sqlstate", None) == _READ_ONLY_SQLSTATE:
        return True
    return isinstance(error, sa.exc.OperationalError) and error.statement is None


def lost_connection(error: sa.exc.DBAPIError) -> bool:
    """True when the server's answer to the last statement will never come. A server
    that ends the connection says so itself, if it can."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_ENDED_SQLSTATES)


def receipt(connection: sa.Connection) -> commits.Receipt | None:
    """What the transaction that is about to commit is known by, should the answer be
    lost. None on SQLite, where none can be: the commit is a call in this process, which
    comes back, or the process is gone; and a connection that somebody closed before has
    rolled back."""
    return None if is_sqlite(connection) else commits.receipt(connection)


def for_update(select: sa.Select[Any], *, skip_locked: bool = False) -> sa.Select[Any]:
    """Lock the rows read. SQLite's writer holds the whole database already, and
    SQLAlchemy leaves the clause out there.

    Keys never change, so foreign keys that point at these rows need not wait: the
    check of a child's `parent_id` would else wait for its root, against rule 10.
    """
    return select.with_for_update(skip_locked=skip_locked, key_share=True)


def lock_names(connection: sa.Connection, names: Iterable[str]) -> None:
    """Serialise transactions that use the same names, until commit; in sorted order,
    so that two of them cannot wait for each other."""
    if is_sqlite(connection):
        return
    for name in sorted(set(names)):
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big", signed=True)
        connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": number}
        )


def insert_new(
    connection: sa.Connection, table: sa.Table, values: dict[str, Any]
) -> bool:
    """Insert unless a unique key stands in the way; False when it does."""
    make = sqlite.insert if is_sqlite(connection) else postgresql.insert
    statement = make(table).values(**values).on_conflict_do_nothing()
    # An INSERT's row count is not kept by every driver; what it returns is.
    inserted = connection.execute(statement.returning(*table.primary_key))
    return inserted.first() is not None
