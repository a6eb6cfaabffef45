"""The sample pages behind a small server, with a stream that a test can steer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from earmark.web import fragments
from earmark.web.pages import Shell
from earmark.web.rendering import STATIC, render

from .samples import QUIET_SHELL, SHELL
from .states import EVERY_PAGE


class Preview:
    """The server; `shown` is what every stream starts with, and sends when it changes.

    The next requests for a stream are refused with the statuses in `answers`; `asked`
    are all requests so far, a stream's by the status that it got.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.shown: list[fragments.Fragment] = []
        self.answers: list[int] = []
        self.asked: list[str] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._changed = 0
        self._cuts = 0

    @classmethod
    @contextmanager
    def anywhere(cls) -> Iterator[Self]:
        """Run one at a port that is free."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            made = cls(probe.getsockname()[1])
        made.start()
        yield made
        made.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def show(self, *shown: fragments.Fragment) -> None:
        self.shown = list(shown)
        self._changed += 1

    def cut(self) -> None:
        """End the streams that are open."""
        self._cuts += 1

    def start(self) -> None:
        app = Starlette(
            routes=[
                Route("/pages/{name}", self._page),
                Route("/full/{name}", self._full_page),
                Route("/calm/{name}", self._calm_page),
                Route("/events", self._events),
                Route("/vms/{vm}/console/tickets", self._ticket, methods=["POST"]),
                Mount("/static", StaticFiles(directory=STATIC)),
            ]
        )
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the preview server did not start")
            threading.Event().wait(0.01)

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(10)

    async def _page(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.asked.append(name)
        return _shown(name, SHELL if name in ("vms", "task") else QUIET_SHELL)

    async def _full_page(self, request: Request) -> Response:
        """A page with something at every place of the frame around it."""
        return _shown(request.path_params["name"], SHELL)

    async def _calm_page(self, request: Request) -> Response:
        """The same without the news on top."""
        return _shown(request.path_params["name"], replace(SHELL, notices=()))

    async def _ticket(self, request: Request) -> Response:
        """No console is here: its page waits for as long as this one runs."""
        while self._server and not self._server.should_exit:
            if await request.is_disconnected():
                break
            await asyncio.sleep(0.1)
        return Response(status_code=204)

    async def _events(self, request: Request) -> Response:
        if self.answers:
            status = self.answers.pop(0)
            self.asked.append(str(status))
            return HTMLResponse("<h1>Not now</h1>", status_code=status)
        self.asked.append("200")
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        told, cuts = -1, self._cuts
        while cuts == self._cuts and self._server and not self._server.should_exit:
            if told != self._changed:
                told = self._changed
                beat = fragments.signal("earmark:beat")
                yield fragments.message(self.shown) if self.shown else beat
            await asyncio.sleep(0.02)


def _shown(name: str, shell: Shell) -> Response:
    page = EVERY_PAGE[name]
    return HTMLResponse(
        render(page, shell), headers={"Content-Security-Policy": page.security_policy}
    )
