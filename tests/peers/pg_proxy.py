"""A TCP proxy before a real PostgreSQL that cuts a connection at a COMMIT: before it is
passed on, or once the server has answered it and the client has not heard. It also cuts
all that is open, is slow, or lets nobody in."""

import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url

from tests.peers.connections import Connections, some

_STARTUP = struct.Struct("!II")
_SPECIAL = (80877103, 80877104)  # asks for SSL, for GSS: answered by one byte
_COMMITS = (b"QCOMMIT", b"P\0COMMIT")


class Cut(StrEnum):
    """Where the connection is cut."""

    BEFORE = "before the server has it"
    AFTER = "after the server has answered"


class PostgresProxy:
    """Listens on 127.0.0.1; `url` leads through it to the database of `target`."""

    def __init__(self, target: str) -> None:
        self._target = make_url(target)
        self._lock = threading.Lock()
        self._commits = 0
        self._cut_at: int | None = None
        self._how = Cut.BEFORE
        self.was_cut = False
        self.delay = 0.0
        """How long each message of a client waits to be passed on, in seconds."""
        self.refusing = False
        """Whether who connects is sent away."""
        self._connections = Connections(self._serve)
        here = self._target.set(host="127.0.0.1", port=self._connections.port, query={})
        self.url = here.render_as_string(hide_password=False)

    def cut(self, number: int, how: Cut) -> None:
        """Cut at so many commits from now on, counted from 1, once."""
        with self._lock:
            self._commits, self._cut_at, self._how = 0, number, how
            self.was_cut = False

    def sever(self) -> int:
        """Cut every connection that is open, wherever it is; returns how many."""
        return self._connections.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.close()

    def _serve(self, client: socket.socket) -> None:
        if self.refusing:
            client.close()
            return
        known = self._connections.known(client)
        with client, self._connect() as server, known, suppress(OSError, EOFError):
            _Pair(self, client, server).run()

    def _connect(self) -> socket.socket:
        folder = self._target.query.get("host")
        if folder is None:
            return socket.create_connection(
                (str(self._target.host), self._target.port or 5432)
            )
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{self._target.port or 5432}")
        return server

    def meets(self) -> Cut | None:
        """A COMMIT came by: whether and how this one is cut."""
        with self._lock:
            self._commits += 1
            if self._commits != self._cut_at:
                return None
            self.was_cut = True
            return self._how


class _Pair:
    """One connection, and the one to the server behind it."""

    def __init__(
        self, proxy: PostgresProxy, client: socket.socket, server: socket.socket
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server

    def run(self) -> None:
        """Pass on what comes, until either side ends or the cut."""
        self._start()
        with selectors.DefaultSelector() as selector:
            for side in (self._client, self._server):
                selector.register(side, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._server in ready:
                    self._client.sendall(some(self._server))
                if self._client in ready and not self._pass_on():
                    return

    def _start(self) -> None:
        """The messages before the first typed one."""
        while True:
            head = _exactly(self._client, 8)
            length, code = _STARTUP.unpack(head)
            self._server.sendall(head + _exactly(self._client, length - 8))
            if code not in _SPECIAL:
                return
            self._client.sendall(_exactly(self._server, 1))

    def _pass_on(self) -> bool:
        """One message of the client's; False when it was cut."""
        head = _exactly(self._client, 5)
        message = _exactly(self._client, int.from_bytes(head[1:]) - 4)
        if self._proxy.delay:
            time.sleep(self._proxy.delay)
        commits = (head[:1] + message).startswith(_COMMITS)
        how = self._proxy.meets() if commits else None
        if how is Cut.BEFORE:
            return False
        self._server.sendall(head + message)
        if how is Cut.AFTER:
            self._until_ready(head[:1] == b"P")
            return False
        return True

    def _until_ready(self, extended: bool) -> None:
        """Hear out the server; the client gets nothing of it."""
        while extended:
            head = _exactly(self._client, 5)
            rest = _exactly(self._client, int.from_bytes(head[1:]) - 4)
            self._server.sendall(head + rest)
            extended = head[:1] != b"S"
        while True:
            head = _exactly(self._server, 5)
            _exactly(self._server, int.from_bytes(head[1:]) - 4)
            if head[:1] == b"Z":
                return


def _exactly(side: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = side.recv(count - len(got))
        if not more:
            raise EOFError
        got += more
    return got
