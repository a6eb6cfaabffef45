"""What goes through a console, either way, counts as use."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from earmark.domain.errors import Unavailable
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.web.consoles import stream
from earmark.web.consoles.meetings import Ending, Meeting, Meetings
from earmark.web.consoles.pump import Pump
from earmark.web.live.watcher import Watcher
from earmark.web.site import Site

IDLE = 1.0


class Socket:
    """One end of a console: what it says comes out of a queue."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        return await self.says.get()

    async def send_bytes(self, data: bytes) -> None:
        self.heard.append(data)

    def say(self, data: bytes) -> None:
        self.says.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self, code: int, reason: str = "") -> None:
        gone = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self.says.put_nowait(gone)


class Joined:
    """A browser and a worker, with the pump between them at work."""

    def __init__(self, idle: float = 60) -> None:
        self.browser, self.worker = Socket(), Socket()
        self.meeting = Meeting("one")
        ends = cast(WebSocket, self.browser), cast(WebSocket, self.worker)
        self.run = asyncio.ensure_future(Pump(*ends, idle).run(self.meeting))


def ending_of(scene: Any) -> Ending:
    with ThreadPoolExecutor(1) as pool:
        ending: Ending = pool.submit(asyncio.run, scene).result(30)
        return ending


@pytest.mark.parametrize(
    ("who", "other"), [("browser", "worker"), ("worker", "browser")]
)
def test_one_side_alone_keeps_it_open(who: str, other: str) -> None:
    async def scene() -> Ending:
        joined = Joined(IDLE)
        for number in range(8):
            getattr(joined, who).say(b"%d" % number)
            done, _ = await asyncio.wait({joined.run}, timeout=IDLE / 4)
            assert not done, "ended while in use"
        assert len(getattr(joined, other).heard) == 8
        return await joined.run

    ending = ending_of(scene())
    assert (ending.code, "1 seconds" in ending.reason) == ("idle", True)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (4001, "provider"),
        (4002, "worker-stopped"),
        (4003, "broken"),
        (1006, "worker-lost"),
    ],
)
def test_how_the_worker_left_is_told_apart(code: int, word: str) -> None:
    async def scene() -> Ending:
        joined = Joined()
        joined.worker.leave(code, "why")
        return await joined.run

    assert ending_of(scene()).code == word


def test_a_browser_that_leaves_ends_it() -> None:
    async def scene() -> Ending:
        joined = Joined()
        joined.browser.leave(1001)
        return await joined.run

    assert ending_of(scene()).code == "left"


def test_somebody_else_may_end_it() -> None:
    async def scene() -> Ending:
        joined = Joined()
        joined.meeting.end("taken-over", "first")
        joined.meeting.end("restart", "second")
        return await joined.run

    assert ending_of(scene()) == Ending("taken-over", "first")


class Browser(Socket):
    """A browser's end before there is a picture: it sends its ticket, and waits."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, str]] = []

    async def accept(self) -> None: ...

    async def close(self, code: int) -> None: ...

    async def receive_text(self) -> str:
        return json.dumps({"ticket": "t", "vm": "v"})

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))


def test_a_database_that_goes_away_ends_a_console_with_its_reason(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves nobody behind: the worker's end waits for the browser's."""

    def gone(*_: object) -> None:
        raise Unavailable("The database does not answer.")

    asked = SimpleNamespace(id="a task")
    monkeypatch.setattr(stream, "_use", lambda *_: asked)
    monkeypatch.setattr(stream, "_how_it_stands", gone)

    async def scene() -> tuple[Browser, Meeting]:
        site = Site(engine, settings, Watcher(engine), Meetings(engine))
        browser = Browser()
        end = cast(WebSocket, browser)
        serving = asyncio.ensure_future(stream.serve(site, end, "one", "a session"))
        while not site.consoles._all:
            await asyncio.sleep(0)
        (meeting,) = site.consoles._all
        await serving
        site.watcher.close()
        await site.consoles.close()
        return browser, meeting

    with ThreadPoolExecutor(1) as pool:
        browser, meeting = pool.submit(asyncio.run, scene()).result(30)
    assert meeting.left.is_set()
    last = browser.told[-1]
    assert (last["state"], last["code"]) == ("ended", "unavailable")
    assert "The database does not answer." in last["text"]
