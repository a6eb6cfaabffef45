"""The lab as a process: it binds, says that it is ready, serves, and goes."""

import asyncio
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from earmark.lab import api, console, control, tasks
from earmark.lab.config import LOOPBACK, LabConfig
from earmark.lab.consoles import Consoles
from earmark.lab.seed import seed
from earmark.lab.site import Site


def serve(config: LabConfig) -> None:
    """Run a lab until SIGTERM or SIGINT; return within a second of it.

    Prints one line, ``lab ready URL``, when connections are accepted. Raises
    StateInUse when another lab has the state directory, OSError when the port is
    taken.
    """
    with Site(config) as site, _listen(config) as listener:
        seed(site)
        _Server(site, listener).run(sockets=[listener])


def _listen(config: LabConfig) -> socket.socket:
    # create_server sets SO_REUSEADDR, so a restarted lab gets its old port at once.
    return socket.create_server((config.host, config.port), backlog=128)


def _application(site: Site, consoles: Consoles) -> Starlette:
    application = Starlette(
        routes=[*api.routes(site), *control.routes(site), *console.routes(site)],
        # The controls take no password; a web page in the same host's browser must
        # not reach them under a name that was made to point here.
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
        ],
    )
    application.state.consoles = consoles
    return application


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets an endpoint reach its transport, to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that keeps the site's time and never waits long for clients."""

    def __init__(self, site: Site, listener: socket.socket) -> None:
        config = site.config
        consoles = Consoles(site)
        super().__init__(
            uvicorn.Config(
                _application(site, consoles),
                http=_Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                ssl_certfile=config.certfile,
                ssl_keyfile=config.keyfile,
                # For a connection that slips in after the others were ended.
                timeout_graceful_shutdown=1,
            )
        )
        self._site = site
        self._consoles = consoles
        self._port = listener.getsockname()[1]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then say so."""
        await self._consoles.start()
        await super().startup(sockets)
        scheme = "https" if self._site.config.certfile else "http"
        print(f"lab ready {scheme}://{LOOPBACK}:{self._port}", flush=True)

    async def on_tick(self, counter: int) -> bool:
        """Let the site's time pass, ten times a second.

        An error here ends the lab: a site that stands still would mislead.
        """
        tasks.advance(self._site)
        self._consoles.tick()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every request, however long it would wait for its client or a fault.

        Nothing half-done is left: between a request's waits its work is one
        transaction, and this runs only while it waits.
        """
        for task in list(self.server_state.tasks):
            task.cancel()
        self._consoles.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Go in good order; uvicorn would raise the signal again at the end."""
        self.should_exit = True
