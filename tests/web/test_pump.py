"""What goes through a console, either way, counts as use."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from earmark.web.consoles.meetings import Ending, Meeting
from earmark.web.consoles.pump import Pump

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
