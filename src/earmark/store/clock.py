"""The clock of a store in a file: steady, whatever is done to the host's.

Store time is the time since the host's boot plus an offset that the first process of
that boot wrote down, so every process of the boot reads the same time and a step of
the wall clock moves nothing: no lease, no deadline, no horizon (rule 14). It never goes
back, not even to an earlier boot. Only while nothing depends on how long something
took is it moved forward, to a wall clock that has been mended since.

What no clock of the host can tell stays unknown: how long it was off. Over a boot the
wall clock is believed, unless it says less than the store has seen already. Where the
system has no boot id, a step of the wall clock may look like another boot: then the
store's time may jump forward with it, and still never goes back.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast

import sqlalchemy as sa

from earmark.domain.states import OPEN_AT_PROVIDER, TaskState
from earmark.store.identity import this_boot
from earmark.store.schema import clock, placeholders, tasks, workers

#: How far the wall clock must be ahead before the store's time follows it.
TOLERANCE = timedelta(seconds=1)
_UNIX = datetime.fromtimestamp(0, UTC)
_TIME_NAMESPACE = Path("/proc/self/ns/time")
_OFFSET = "SELECT offset_us FROM earmark_clock WHERE boot = ?"


def wall() -> datetime:
    """The host's wall clock: the one place that reads it for the store."""
    return datetime.now(UTC)


def now(connection: sa.Connection, *, writes: bool) -> datetime:
    """The store's time; in a transaction that `writes`, the first process of a boot
    sets it. Before there is a schema it is the wall clock's."""
    try:
        offset = connection.exec_driver_sql(_OFFSET, (_boot(),)).scalar()
    except sa.exc.OperationalError as error:
        if "no such table" not in str(error.orig):
            raise
        return wall()
    if offset is None:
        offset = _microseconds(_start(connection)) - _since_boot()
        if writes:
            row = {"boot": _boot(), "offset_us": offset}
            connection.execute(sa.insert(clock).values(row))
    return _UNIX + timedelta(microseconds=_since_boot() + cast(int, offset))


def follow(connection: sa.Connection) -> timedelta:
    """Move the store's time forward to the wall clock's, if it is behind and nothing
    under way counts on how long something takes; returns by how much it was moved."""
    behind = wall() - now(connection, writes=True)
    if behind < TOLERANCE or _under_way(connection):
        return timedelta(0)
    connection.execute(
        sa.update(clock)
        .where(clock.c.boot == _boot())
        .values(offset_us=clock.c.offset_us + behind // timedelta(microseconds=1))
    )
    return behind


def _start(connection: sa.Connection) -> datetime:
    """The time at which this boot takes over: the wall clock's, but not before the
    latest instant that the store has seen. Workers write one with every beat."""
    columns = (workers.c.seen_at, tasks.c.updated_at, placeholders.c.updated_at)
    seen = [connection.execute(sa.select(sa.func.max(c))).scalar() for c in columns]
    latest: datetime = max([wall(), *(at for at in seen if at is not None)])
    return latest


def _under_way(connection: sa.Connection) -> bool:
    """True while a step forward would end something early: a horizon, a deadline."""
    queued = tasks.c.state == TaskState.QUEUED
    dated = sa.or_(tasks.c.start_by.is_not(None), tasks.c.end_by.is_not(None))
    idle = sa.or_(tasks.c.state == TaskState.DONE, queued & ~dated)
    open_ = placeholders.c.state.in_(OPEN_AT_PROVIDER)
    found = sa.or_(
        sa.exists().where(~idle).select_from(tasks),
        sa.exists().where(open_).select_from(placeholders),
    )
    return bool(connection.execute(sa.select(found)).scalar())


def _since_boot() -> int:
    """Microseconds since the boot, sleep included where the system can tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return time.monotonic_ns() // 1000


@cache
def _boot() -> str:
    """This boot; in a time namespace, whose boot lies elsewhere, with its name."""
    if not _TIME_NAMESPACE.exists():
        return this_boot()
    return f"{this_boot()} {os.readlink(_TIME_NAMESPACE)}"


def _microseconds(instant: datetime) -> int:
    return (instant - _UNIX) // timedelta(microseconds=1)
