"""Servers of bare sockets: what they do is in the test, what they get is counted."""

import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

#: Long enough for anything that a healthy test waits for.
PATIENCE = 10.0

Script = Callable[[socket.socket], None]


class WireServer:
    """Listens on 127.0.0.1 and plays `script` for every connection, in a thread each.

    `received` holds the bytes of all connections, TLS taken off. `accepted` is set
    when a client is there. Leaving the context ends every thread.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.received = bytearray()
        self.connections = 0
        self.accepted = threading.Event()
        self.leaving = threading.Event()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leaving.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a server's script did not end"

    def request(self, connection: socket.socket) -> None:
        """Read one request, headers and body."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive(connection)
        lines, _, body = head.partition(b"\r\n\r\n")
        for line in lines.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                missing = int(line.split(b":")[1]) - len(body)
                while missing > 0:
                    missing -= len(self._receive(connection))

    def something(self, connection: socket.socket) -> None:
        """Read whatever comes first."""
        self._receive(connection)

    def rest(self, connection: socket.socket) -> None:
        """Read until the client hangs up."""
        while True:
            try:
                self._receive(connection)
            except OSError:
                return

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionAbortedError("the client hung up")
        self.received += data
        return data

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.accepted.set()
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._script(connection)
        except OSError:
            pass  # the client left in the middle: it may
        finally:
            connection.close()


def answering(status: int, body: str, kind: str = "text/plain") -> bytes:
    """Return an HTTP answer as bytes."""
    content = body.encode()
    head = (
        f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nServer: wire\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def always(answer: bytes) -> WireServer:
    """Return a server that reads each request and gives this answer."""

    def script(connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(answer)

    server = WireServer(script)
    return server


def plain_only() -> WireServer:
    """Return a server that answers 400 to whatever comes, such as a TLS handshake."""

    def script(connection: socket.socket) -> None:
        server.something(connection)
        connection.sendall(answering(400, "this is plain HTTP"))

    server = WireServer(script)
    return server


def silent() -> WireServer:
    """Return a server that reads and never says a word."""

    def script(connection: socket.socket) -> None:
        server.rest(connection)

    server = WireServer(script)
    return server


def cutting() -> WireServer:
    """Return a server that reads each request and hangs up instead of answering."""

    def script(connection: socket.socket) -> None:
        server.request(connection)

    server = WireServer(script)
    return server


def dripping(answer: bytes, seconds: float) -> WireServer:
    """Return a server that answers byte by byte, one every so many seconds."""

    def script(connection: socket.socket) -> None:
        server.request(connection)
        for byte in answer:
            connection.sendall(bytes([byte]))
            if server.leaving.wait(seconds):
                return

    server = WireServer(script)
    return server


class ClosedPort:
    """A port at which nothing listens, and at which nothing can until we leave."""

    def __enter__(self) -> str:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
