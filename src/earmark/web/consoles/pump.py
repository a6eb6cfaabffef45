"""The pump: bytes from the browser to the worker and back, until one of them leaves,
both are silent for too long, or somebody ends it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from earmark.commands.relay import Why
from earmark.web.consoles.meetings import Ending, Meeting

_LEFT = Ending("left", "The browser left.")
_LOST = Ending("worker-lost", "The worker that carried this console is gone.")
_FROM_RELAY: Mapping[int, str] = {
    Why.PROVIDER_ENDED: "provider",
    Why.WORKER_STOPS: "worker-stopped",
    Why.BROKEN: "broken",
}


class Pump:
    """Joins two sockets. What goes through, either way, counts as use."""

    def __init__(self, browser: WebSocket, relay: WebSocket, idle: float) -> None:
        self._browser = browser
        self._relay = relay
        self._idle = idle
        self._used_at = asyncio.get_running_loop().time()

    async def run(self, meeting: Meeting) -> Ending:
        """Pump until the end; says which it was."""
        ways = {
            asyncio.ensure_future(self._inward()),
            asyncio.ensure_future(self._outward()),
            asyncio.ensure_future(self._stand_still()),
        }
        try:
            first = {*ways, meeting.ended}
            done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            return (
                meeting.ended.result() if meeting.ended in done else done.pop().result()
            )
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _inward(self) -> Ending:
        while True:
            message = await self._browser.receive()
            if message["type"] == "websocket.disconnect":
                return _LEFT
            self._note()
            if data := message.get("bytes"):
                with suppress(WebSocketDisconnect, RuntimeError):
                    # That the worker is gone is told by the other way, with its reason.
                    await self._relay.send_bytes(data)

    async def _outward(self) -> Ending:
        while True:
            message = await self._relay.receive()
            if message["type"] == "websocket.disconnect":
                code = _FROM_RELAY.get(message["code"])
                return Ending(code, message.get("reason") or "") if code else _LOST
            self._note()
            if data := message.get("bytes"):
                try:
                    await self._browser.send_bytes(data)
                except (WebSocketDisconnect, RuntimeError):
                    return _LEFT

    async def _stand_still(self) -> Ending:
        loop = asyncio.get_running_loop()
        while (left := self._used_at + self._idle - loop.time()) > 0:
            await asyncio.sleep(left)
        return Ending("idle", f"Nothing was typed or shown for {_long(self._idle)}.")

    def _note(self) -> None:
        self._used_at = asyncio.get_running_loop().time()


def _long(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"
