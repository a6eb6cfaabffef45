"""Commits on PostgreSQL whose answer was lost: the server is asked what became of them.

Before each commit the transaction's own id at the server is read. It is good evidence
only on the server that gave it out, so what tells servers apart is read with it: the
system identifier, the timeline (new after each failover), and since when the server's
statistics count, which is anew after every crash. A crash matters because the id of a
transaction whose records were not on disk yet is then given out again.
"""

import time
from dataclasses import dataclass
from enum import Enum, auto

import sqlalchemy as sa

#: Longer than PostgreSQL lets a connection that was cut sit in its transaction.
PATIENCE_SECONDS = 70.0
_PAUSE_SECONDS = 0.1
#: "Transaction ID … is in the future": the server has not given it out.
_NEVER_GIVEN_OUT = "22023"
_MAY_READ_ID = "SELECT has_function_privilege('pg_control_system()', 'execute')"
_SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"
_TIMELINE = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_COUNTS_SINCE = "pg_stat_get_bgwriter_stat_reset_time()::text"


class Fate(Enum):
    """What became of a transaction."""

    COMMITTED = auto()
    ABORTED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction is known by. `xid` is None when it has written nothing."""

    xid: str | None
    lineage: str
    counts_since: str | None


def lineage(connection: sa.Connection) -> str:
    """SQL for what stays the same until a restore or a failover: system identifier and
    timeline. Some hosted servers keep their identifier to themselves."""
    may_read = connection.info.get("earmark_may_read_id")
    if may_read is None:
        may_read = connection.exec_driver_sql(_MAY_READ_ID).scalar_one()
        connection.info["earmark_may_read_id"] = may_read
    return f"concat_ws(' ', {_SYSTEM if may_read else 'NULL'}, {_TIMELINE})"


def receipt(connection: sa.Connection) -> Receipt:
    """Read, right before its commit, what the transaction is known by."""
    words = "pg_current_xact_id_if_assigned()::text", lineage(connection), _COUNTS_SINCE
    row = connection.exec_driver_sql(f"SELECT {', '.join(words)}").one()
    return Receipt(*row)


def fate(engine: sa.Engine, receipt: Receipt) -> Fate:
    """Ask, on a new connection, what became of a transaction whose commit was sent.

    Waits while the server is away or still at it. `UNKNOWN` after a failover, after a
    crash that may have given the id to another transaction, when it is too long ago,
    and when patience ends.
    """
    if receipt.xid is None:
        return Fate.COMMITTED
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        try:
            with engine.connect() as connection:
                found = _ask(connection, receipt)
        except sa.exc.OperationalError:
            found = None  # away for a moment
        except sa.exc.DBAPIError:
            return Fate.UNKNOWN  # it cannot be asked, also later
        if found is not None:
            return found
        time.sleep(_PAUSE_SECONDS)
    return Fate.UNKNOWN


def _ask(connection: sa.Connection, receipt: Receipt) -> Fate | None:
    """None: it cannot be said yet."""
    if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        return None
    words = f"SELECT {lineage(connection)}, {_COUNTS_SINCE}"
    same, counts_since = connection.exec_driver_sql(words).one()
    if same != receipt.lineage:
        return Fate.UNKNOWN
    try:
        status = connection.execute(
            sa.text("SELECT pg_xact_status(CAST(:xid AS xid8))"), {"xid": receipt.xid}
        ).scalar()
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NEVER_GIVEN_OUT:
            raise
        return Fate.ABORTED  # it was, but a crash came before anything was on disk
    if status == "in progress":
        return None
    if status == "aborted":
        return Fate.ABORTED
    if status == "committed" and counts_since == receipt.counts_since:
        return Fate.COMMITTED
    return Fate.UNKNOWN
