"""The connections that a proxy takes, each served in a thread of its own, which can all
be cut at once."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Connections:
    """Listens on a free `port` of 127.0.0.1, and lets `serve` have each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    @contextmanager
    def known(self, one: socket.socket) -> Iterator[None]:
        """Inside, this one can be cut."""
        with self._lock:
            self._open.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(one)

    def cut(self) -> int:
        """Cut every one that is known, wherever it is; returns how many."""
        with self._lock:
            mine = list(self._open)
        for one in mine:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(mine)

    def close(self) -> None:
        """Take no more, and cut those that are open."""
        self._listener.close()
        self.cut()


def some(side: socket.socket) -> bytes:
    """What has come from a side; raises `EOFError` at its end."""
    got = side.recv(65536)
    if not got:
        raise EOFError
    return got
