"""A reverse proxy before a web server, which can fall out: it cuts what is open, then
answers by itself, as without a server or a login, or not at all."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self

from tests.peers.connections import Connections, some

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class WebProxy:
    """Listens on 127.0.0.1; `url` leads through it to `target`. What goes through is
    not looked at, so streams and WebSockets do too."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").rpartition(":")
        self._target = (host, int(port))
        self.answered = 0
        """How many requests got the proxy's own answer."""
        self._status: HTTPStatus | None = None
        self._unplugged = False
        self._only = b""
        self._connections = Connections(self._serve)
        self.url = f"http://127.0.0.1:{self._connections.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.close()

    @contextmanager
    def answering(self, status: HTTPStatus, only: str = "/") -> Iterator[None]:
        """Answer with this status meanwhile; `only` where paths begin like that."""
        self.answered = 0
        self._status, self._only = status, only.encode()
        self._connections.cut()
        try:
            yield
        finally:
            self._status = None
            self._connections.cut()

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Let nothing through meanwhile."""
        self._unplugged = True
        self._connections.cut()
        try:
            yield
        finally:
            self._unplugged = False

    def _serve(self, browser: socket.socket) -> None:
        known = self._connections.known
        with browser, known(browser), suppress(OSError, EOFError):
            if self._unplugged:
                return
            head = _request(browser)
            if self._status is not None and head.split(b" ")[1].startswith(self._only):
                self._answer(browser, self._status)
                return
            with socket.create_connection(self._target) as server, known(server):
                server.sendall(_closing(head))
                back = threading.Thread(target=_pass, args=(server, browser))
                back.start()
                _pass(browser, server)
                back.join()

    def _answer(self, browser: socket.socket, status: HTTPStatus) -> None:
        self.answered += 1
        body = f"<h1>{status.value} {status.phrase}</h1>".encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/html\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        browser.sendall(head.encode() + body)


def _request(browser: socket.socket) -> bytes:
    """A request's head and body."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += some(browser)
    head, _, body = got.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    while length is not None and len(body) < int(length[1]):
        body += some(browser)
    return head + b"\r\n\r\n" + body


def _closing(request: bytes) -> bytes:
    """One request a connection, so that every one meets the proxy; but for those that
    ask for another protocol on theirs."""
    if re.search(rb"\r\nupgrade:", request, re.IGNORECASE):
        return request
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
    return head + b"\r\nConnection: close\r\n\r\n" + body


def _pass(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError, EOFError):
        while True:
            other.sendall(some(one))
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
