"""One `earmark up` per SQLite file: a lock that also its children hold.

The lock is the file's, inherited by the children: it is free again only when the last
process of an earlier `up` is gone, even if that `up` itself was killed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from earmark.domain.errors import Unavailable
from earmark.domain.settings import Settings
from earmark.store import dialect

_ASK_SECONDS = 0.05


@contextmanager
def only_up(settings: Settings) -> Iterator[tuple[int, ...]]:
    """Hold the lock meanwhile; gives the descriptors that children must inherit.

    On PostgreSQL there is nothing to hold: any number of hosts share it. Raises
    `Unavailable` that names the holder.
    """
    url = dialect.parse(settings.database_url)
    if url.drivername != "sqlite":
        yield ()
        return
    file = Path(f"{url.database}.up.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be made: {error.strerror}.",
            hint="Set EARMARK_DATABASE_URL to a place that can be written.",
        ) from None
    try:
        _take(handle, patience=settings.drain_seconds)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield (handle,)
    finally:
        os.close(handle)


def _take(handle: int, patience: float) -> None:
    """Take the lock; wait only for the children of an `up` that is gone."""
    give_up = time.monotonic() + patience
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = os.pread(handle, 32, 0).strip().decode()
        if holder.isdecimal() and psutil.pid_exists(int(holder)):
            raise Unavailable(
                f"`earmark up` runs this database already (pid {holder}).",
                hint="Stop that one, or add to it with `earmark worker`.",
            )
        if time.monotonic() > give_up:
            raise Unavailable(
                "The processes of an earlier `earmark up` have not ended yet.",
                hint="Try again, or end them: `ps -ef | grep earmark`.",
            )
        time.sleep(_ASK_SECONDS)
