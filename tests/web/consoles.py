"""A console without a browser: the page's cookie, the ticket, the stream, RFB."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.peers.viewer import Viewer

from .house import House

PATIENCE = 20


class Watcher:
    """Somebody with a browser of their own: a cookie."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = httpx.Client(base_url=house.url, trust_env=False, timeout=20)
        self._stack = ExitStack()
        self._stack.enter_context(self.client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open_page(self, vm: str) -> httpx.Response:
        answer = self.client.get(f"/vms/{self.house.vm(vm)['id']}/console")
        assert answer.status_code == 200
        return answer

    def ask(self, vm: str) -> httpx.Response:
        return self.client.post(f"/vms/{self.house.vm(vm)['id']}/console/tickets")

    def ticket(self, vm: str) -> dict[str, str]:
        self.open_page(vm)
        answer = self.ask(vm)
        assert answer.status_code == 201, answer.text
        found: dict[str, str] = answer.json()
        return found

    def join(self, ticket: dict[str, str], **more: Any) -> Stream:
        """Use the ticket, with this browser's cookie."""
        cookies = "; ".join(f"{it.name}={it.value}" for it in self.client.cookies.jar)
        site = self.house.url.replace("http", "ws")
        opening = connect(
            f"{site}/consoles/{ticket['console']}/stream",
            additional_headers={"Cookie": cookies} if cookies else {},
            proxy=None,
            compression=None,
        )
        socket = self._stack.enter_context(opening)
        first = {"ticket": ticket["ticket"], "vm": ticket["vm"], **more}
        socket.send(json.dumps(first))
        return Stream(socket)

    def look(self, vm: str, **more: Any) -> Stream:
        """All of it: the screen is there."""
        stream = self.join(self.ticket(vm), **more)
        stream.ready()
        stream.viewer.enter()
        return stream


class Stream:
    """The browser's end of a console."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.viewer = Viewer(self._bytes, socket.send)

    def ready(self) -> None:
        while (said := self.said())["state"] == "waiting":
            continue
        assert said["state"] == "ready", said

    def said(self) -> dict[str, str]:
        """The server's next words."""
        message = self.socket.recv(timeout=PATIENCE)
        assert isinstance(message, str)
        found: dict[str, str] = json.loads(message)
        return found

    def ending(self) -> dict[str, str]:
        """How it ended: whatever else comes is passed over; then the close."""
        last: dict[str, str] = {}
        try:
            while True:
                message = self.socket.recv(timeout=PATIENCE)
                if isinstance(message, str):
                    last = json.loads(message)
        except ConnectionClosed:
            assert last.get("state") == "ended", last
        return last

    def _bytes(self) -> bytes:
        message = self.socket.recv(timeout=PATIENCE)
        assert isinstance(message, bytes), message
        return message
