"""Transactions: the only way to the store."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from earmark.domain.errors import CommitUnknown, StoreAway, Unavailable
from earmark.store import commits, dialect
from earmark.store.wakeups import Topic, Wakeups
from earmark.store.writer import WriterMark

T = TypeVar("T")
_ATTEMPTS = 8
_PATIENCE_SECONDS = 25.0


class Transaction:
    """One transaction. What it wakes is told to waiters after its commit."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.topics: set[Topic] = set()
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The store's time, the same throughout the transaction."""
        if self._now is None:
            self._now = dialect.now(self.connection)
        return self._now

    def execute(self, statement: Any, *parameters: Any) -> sa.CursorResult[Any]:
        """Run a statement."""
        result: sa.CursorResult[Any] = self.connection.execute(statement, *parameters)
        return result

    def wake(self, *topics: Topic) -> None:
        """Tell those who wait for these, once this has committed."""
        self.topics.update(topics)


class Database:
    """An open database.

    `write` and `read` run a function inside a transaction. The function may run more
    than once (serialization failures, deadlocks and BUSY are retried, rule 10), so it
    must keep its effects inside the transaction.
    """

    def __init__(self, url: str, *, listen: bool = True) -> None:
        self.url = dialect.parse(url)
        self.engine = dialect.create_engine(self.url)
        self.wakeups = Wakeups(self.engine, listen=listen)
        # In one process, writers queue here in order instead of polling SQLite's lock.
        self._turn = nullcontext() if self.file is None else threading.Lock()
        self._here = threading.local()
        self._mark = None if self.file is None else WriterMark(self.file)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        if self.url.drivername != "sqlite":
            return None
        return Path(str(self.url.database))

    def write(
        self,
        work: Callable[[Transaction], T],
        *,
        landed: Callable[[Transaction], bool] | None = None,
    ) -> T:
        """Run `work` and commit; return what it returned.

        When the commit's answer is lost, the server is asked what became of it: the
        result stands, or the work is run again. Raises `StoreAway` when the database
        cannot be reached.

        Raises `CommitUnknown` when nobody can tell: after a failover, or a crash of the
        server (see `commits.fate`). `landed`, if given, tells it then, by what `work`
        wrote. What a failover to an asynchronous replica can still lose is a commit
        that was acknowledged: no process learns of that here, but the store has another
        epoch then (rule 15).
        """

        def attempt() -> T:
            try:
                return self._run(work, writes=True)
            except CommitUnknown as unknown:
                if landed is None:
                    raise
                if self.read(landed):
                    return cast(T, unknown.result)
                return self._run(work, writes=True)

        return self._patiently(attempt)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and return what it returned; each statement sees what is
        committed by then."""
        return self._patiently(lambda: self._run(work, writes=False))

    def close(self) -> None:
        """Send what is still to be told, stop listening, close the connections."""
        self.wakeups.close()
        self.engine.dispose()
        if self._mark is not None:
            self._mark.close()

    def _run(self, work: Callable[[Transaction], T], *, writes: bool) -> T:
        if writes and getattr(self._here, "writing", False):
            raise RuntimeError(
                "a transaction was begun inside another one of the same thread; "
                "use the tx at hand (tx.log, not ctx.log)"
            )
        turn = self._turn if writes else nullcontext()
        receipt: commits.Receipt | None = None
        try:
            with turn, self.engine.connect() as connection:
                connection = connection.execution_options(earmark_writes=writes)
                transaction = Transaction(connection)
                with self._marked(writes) as begun_now, connection.begin() as begun:
                    begun_now()
                    result = work(transaction)
                    if not writes:
                        return result
                    receipt = dialect.receipt(connection)
                    begun.commit()
        except sa.exc.DBAPIError as error:
            if receipt is None or not dialect.lost_connection(error):
                raise
            self._find_out(receipt, result, error)
        self.wakeups.publish(transaction.topics)
        return result

    def _find_out(
        self, receipt: commits.Receipt, result: object, lost: sa.exc.DBAPIError
    ) -> None:
        """Return if the commit whose answer was lost has happened; else raise."""
        fate = commits.fate(self.engine, receipt)
        if fate is commits.Fate.ABORTED:
            raise lost  # and the work is run again
        if fate is commits.Fate.UNKNOWN:
            unknown = CommitUnknown("The commit's answer was lost.")
            unknown.result = result
            raise unknown from lost

    @contextmanager
    def _marked(self, writes: bool) -> Iterator[Callable[[], None]]:
        """Say that this thread writes, and beside a file that this process does: that
        it wants to, and (by calling what this gives) that it has begun."""
        before = getattr(self._here, "writing", False)
        self._here.writing = before or writes
        mark = self._mark if writes else None
        try:
            if mark is None:
                yield lambda: None
            else:
                mark.wants()
                yield mark.has
        finally:
            self._here.writing = before
            if mark is not None:
                mark.clear()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        for number in range(1, _ATTEMPTS + 1):
            try:
                return attempt()
            except sa.exc.DBAPIError as error:
                tired = number == _ATTEMPTS or time.monotonic() > give_up
                if tired or not _worth_repeating(error):
                    raise _explained(error, self.url) from error
            except sa.exc.TimeoutError as error:
                text = "Every connection to the database is in use, and stays so."
                raise StoreAway(text, hint="Give the worker fewer slots.") from error
            # Jitter keeps contenders from meeting again at the same instant.
            part = random.uniform(0.2, 1.0)  # noqa: S311 - not a secret
            time.sleep(part * min(0.01 * 2**number, 0.5))
        raise AssertionError("the last attempt returns or raises")


def _worth_repeating(error: sa.exc.DBAPIError) -> bool:
    return (
        dialect.retryable(error)
        or dialect.lost_connection(error)
        or dialect.unreachable(error)
    )


def _explained(error: sa.exc.DBAPIError, url: sa.URL) -> Exception:
    """Turn what a person can mend into one clear line; leave bugs as they are."""
    where = url.render_as_string(hide_password=True)
    text = " ".join(str(error.orig).split())
    if "file is not a database" in text:
        return Unavailable(
            f"{where} cannot be used: {text}.", hint="Check EARMARK_DATABASE_URL."
        )
    if not isinstance(error, sa.exc.OperationalError) and not _worth_repeating(error):
        return error
    if dialect.retryable(error):
        return StoreAway(
            f"The database {where} is locked by another process.",
            hint="Find who holds it (a stopped worker, an open shell) and end that.",
        )
    return StoreAway(
        f"The database {where} cannot be used: {text}",
        hint="Check EARMARK_DATABASE_URL and that the database is up.",
    )
