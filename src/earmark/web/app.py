"""The web process: a socket on this machine, a server on it, and a clean end."""

import asyncio
import ipaddress
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from earmark.domain.errors import BadInput, Unavailable
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.web.application import create_app
from earmark.web.consoles.meetings import Meetings
from earmark.web.live.watcher import Watcher
from earmark.web.plugins import load_pages

__all__ = ["create_app", "open_listener", "serve"]

#: Streams end by themselves; what is left of other answers gets this long.
GRACE_SECONDS = 2
#: Who has not read by then what was sent is not waited for.
UNREAD_SECONDS = 0.5
#: Files and connections that the process may have open, if the system allows so many.
MOST_FILES = 65536
#: A thread that has not ended by then, such as one that asks an author's page which
#: does not answer, is not waited for: nothing is half written that the store keeps.
END_SECONDS = 3.0
#: So often each end of a console is asked whether it is there, and so long it may take
#: to answer: until then a worker that stands still looks like a still picture.
PING_SECONDS = 5.0
READY = "web ready"


def serve(
    engine: Engine, settings: Settings, listener: socket.socket | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    Prints one line, `web ready http://127.0.0.1:PORT`, once it accepts requests.
    `listener` is a socket of `open_listener` that was opened before, if any. Raises
    `BadInput` and `Unavailable` as `open_listener` does.
    """
    listener = listener or open_listener(settings.bind)
    _allow_many_connections()
    WebServer(engine, settings, _end_anyway).run(sockets=[listener])


def open_listener(bind: str) -> socket.socket:
    """Take the address; port 0 takes a free port.

    Raises `BadInput` for what is no address of this machine alone, `Unavailable` when
    the port is in use.
    """
    host, port = _address(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Cannot listen on {bind}: {error.strerror}.",
            hint="Stop what listens there, or choose another port with EARMARK_BIND.",
        ) from error
    return listener


def _end_anyway() -> None:
    timer = threading.Timer(END_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _allow_many_connections() -> None:
    """Each open page is a connection; what is usual, 1,024, is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def url_of(listener: socket.socket) -> str:
    """Name the address as browsers do."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise BadInput(
            f"{bind!r} is no address to listen on.", hint="Give one as 127.0.0.1:8080."
        )
    host = "127.0.0.1" if host == "localhost" else host
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = False
    if not alone:
        raise BadInput(
            f"Earmark does not listen on {host}: there is no login yet, so whoever "
            "reaches it may do everything.",
            hint="Use 127.0.0.1, and reach it from elsewhere by an SSH tunnel.",
        )
    return host, int(port)


class WebServer(uvicorn.Server):
    """uvicorn, which ends the streams before it waits for answers to end. `ending` is
    called when it begins to."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        ending: Callable[[], object] = lambda: None,
    ) -> None:
        self._ending = ending
        app = create_app(engine, settings, load_pages(settings.pages))
        self._watcher: Watcher = app.state.site.watcher
        self._consoles: Meetings = app.state.site.consoles
        self._relay_url = settings.relay_url
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="websockets-sansio",
            # What a console sends is packed already, or not worth it.
            ws_per_message_deflate=False,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        for listener in sockets or ():
            self._consoles.address = self._relay_url or url_of(listener)
            print(f"{READY} {url_of(listener)}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye to every page, then end."""
        self._ending()
        self._watcher.close()
        await self._consoles.close()
        asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._leave_unread)
        await super().shutdown(sockets)

    def _leave_unread(self) -> None:
        """Drop those whose connection is full: they do not read, so no goodbye ever
        reaches them."""
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGTERM and SIGINT and return to the caller, who has more to close."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        asked = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in asked}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
