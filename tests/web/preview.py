"""The sample pages behind a small server, with a stream that a test can steer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from earmark.web import fragments
from earmark.web.rendering import STATIC, render

from .samples import PAGES, QUIET_SHELL, SHELL


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
                Route("/events", self._events),
                # A page of a console asks for a ticket; there is none here.
                Route(
                    "/vms/{vm}/console/tickets",
                    lambda request: Response(status_code=204),
                    methods=["POST"],
                ),
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
        page = PAGES[name]
        shell = SHELL if name in ("vms", "task") else QUIET_SHELL
        return HTMLResponse(
            render(page, shell),
            headers={"Content-Security-Policy": page.security_policy},
        )

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
