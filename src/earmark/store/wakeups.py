"""Telling waiters that something was committed.

One listener per process. On PostgreSQL it is LISTEN, and NOTIFY is sent by a thread of
its own after the commit, many wake-ups in one, because a NOTIFY inside a writing
transaction would serialise commits. On SQLite it is `PRAGMA data_version`, which
changes with every commit of any process. Whoever waits also looks by itself now and
then, so a lost wake-up costs seconds and never a hang.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import psycopg
import sqlalchemy as sa

from earmark.store import dialect

_CHANNEL = "earmark"
_DATA_VERSION_SECONDS = 0.02
_COALESCE_SECONDS = 0.005
_RECONNECT_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Topic(StrEnum):
    """What changed, coarsely: waiters read the rows themselves."""

    QUEUE = "queue"  # something can be claimed
    CHECKS = "checks"  # something is to be polled or probed
    CHANGES = "changes"  # something that people look at


class Signal:
    """Set by a commit that concerns its topics; one waiter per signal."""

    def __init__(self, topics: frozenset[Topic]) -> None:
        self.topics = topics
        self._event = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait until set, or for that long; True when it was set. Clears it."""
        woken = self._event.wait(seconds)
        self._event.clear()
        return woken

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()


class Wakeups:
    """Who waits in this process, and the threads that hear from the others."""

    def __init__(self, engine: sa.Engine, *, listen: bool = True) -> None:
        self._engine = engine
        self._listen = listen
        self._signals: set[Signal] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None
        self._notifier: threading.Thread | None = None
        self._unsent: set[Topic] = set()
        self._to_send = threading.Event()

    @contextmanager
    def subscribe(self, *topics: Topic) -> Iterator[Signal]:
        """A signal that is set at every commit that concerns one of the topics."""
        signal = Signal(frozenset(topics))
        with self._lock:
            self._signals.add(signal)
            if self._listener is None and self._listen:
                listen = self._follow_file if self._sqlite else self._follow_server
                self._listener = self._start(listen, "earmark-listen")
        try:
            yield signal
        finally:
            with self._lock:
                self._signals.discard(signal)

    def publish(self, topics: Iterable[Topic]) -> None:
        """Wake waiters here at once, and those of other processes soon."""
        topics = set(topics)
        if not topics:
            return
        self._wake(topics)
        if self._sqlite:
            return
        with self._lock:
            self._unsent |= topics
            if self._notifier is None:
                self._notifier = self._start(self._notify, "earmark-notify")
        self._to_send.set()

    def close(self) -> None:
        """Send what is unsent and end the threads."""
        self._closed.set()
        self._to_send.set()
        for thread in (self._notifier, self._listener):
            if thread is not None and thread is not threading.current_thread():
                thread.join(timeout=3)

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @staticmethod
    def _start(target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _wake(self, topics: set[Topic]) -> None:
        with self._lock:
            concerned = [s for s in self._signals if s.topics & topics]
        for signal in concerned:
            signal.set()

    def _follow_file(self) -> None:
        """Watch SQLite's commit counter."""
        everything = set(Topic)
        while not self._closed.is_set():
            try:
                with self._engine.connect() as connection:
                    raw = connection.connection.dbapi_connection
                    assert raw is not None
                    cursor = raw.cursor()
                    seen: object = None
                    file = self._file()
                    while not self._closed.wait(_DATA_VERSION_SECONDS):
                        if self._file() != file:
                            break  # another was put in its place: follow that one
                        cursor.execute("PRAGMA data_version")
                        version = cursor.fetchone()
                        if version != seen:
                            seen = version
                            self._wake(everything)
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                _log.warning("following the database file failed: %s", error)
                self._closed.wait(_RECONNECT_SECONDS)

    def _file(self) -> object:
        return dialect.which_file(Path(str(self._engine.url.database)))

    def _follow_server(self) -> None:
        """LISTEN, and wake everybody after a reconnect: something may be missed."""
        while not self._closed.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    self._wake(set(Topic))
                    while not self._closed.is_set():
                        for note in connection.notifies(timeout=0.5):
                            words = note.payload.split(",")
                            self._wake({Topic(w) for w in words if w in set(Topic)})
            except psycopg.Error as error:
                _log.warning("listening failed, will try again: %s", error)
                self._closed.wait(_RECONNECT_SECONDS)

    def _notify(self) -> None:
        """NOTIFY from outside the writing transactions, many in one."""
        while not (self._closed.is_set() and not self._unsent):
            try:
                with self._connect() as connection:
                    while not (self._closed.is_set() and not self._unsent):
                        self._to_send.wait()
                        self._closed.wait(_COALESCE_SECONDS)
                        self._to_send.clear()
                        with self._lock:
                            topics, self._unsent = self._unsent, set()
                        if topics:
                            payload = ",".join(sorted(topics))
                            connection.execute(
                                "SELECT pg_notify(%s, %s)", (_CHANNEL, payload)
                            )
            except psycopg.Error as error:
                _log.warning("notifying failed: %s", error)
                if self._closed.is_set():
                    return
                self._closed.wait(_RECONNECT_SECONDS)

    def _connect(self) -> psycopg.Connection:
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        return psycopg.connect(*arguments, autocommit=True, **options)
