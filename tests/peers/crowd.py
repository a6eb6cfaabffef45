"""Many browsers at one web process, without browsers: a program of its own.

`python -m tests.peers.crowd listen|poll PORT` reads one address a line from its input
up to an empty line. `listen` opens a stream at each and keeps it; `poll` asks each of
them once a second on a connection kept open. It says `ready` when all have been
answered, tells at the line `stop` when each first saw which mark (`mark-000042`), as
one line of JSON, and ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from typing import Any

MARK = re.compile(rb"mark-(\d{6})")
#: So many connections are opened at a time.
OPENING = 100
#: A poller whose answer takes longer than its turn asks again at once.
POLL_SECONDS = 1.0
_HEAD = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Listener(asyncio.Protocol):
    """One open stream."""

    def __init__(self, path: str) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.seen: list[tuple[int, float]] = []
        self.bytes = 0
        self.lost = False
        self._path = path.encode()
        self._newest = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_HEAD % self._path)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.bytes += len(data)
        text = self._tail + data
        self._tail = text[-10:]
        newest = max(MARK.findall(text), default=b"0")
        if int(newest) > self._newest:
            self._newest = int(newest)
            self.seen.append((self._newest, now))
        # The first message, after the words of welcome.
        if not self.answered.done() and b"hx-partial" in text:
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("closed"))


class Poller:
    """One client that asks again and again."""

    def __init__(self, path: str) -> None:
        self.seen: list[tuple[int, float]] = []
        self.took: list[tuple[float, float]] = []
        self.lost = False
        self._path = path.encode()
        self._newest = 0

    async def open(self, port: int) -> None:
        """Connect, and ask once."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        await self.ask()

    async def run(self) -> None:
        """Ask once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.ask()
            await asyncio.sleep(max(0.0, began + POLL_SECONDS - loop.time()))

    async def ask(self) -> None:
        """One question and its answer."""
        began = time.monotonic()
        self._writer.write(_HEAD % self._path)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None, head
        body = await self._reader.readexactly(int(found[1]))
        now = time.monotonic()
        self.took.append((now, now - began))
        newest = max(MARK.findall(body), default=b"0")
        if int(newest) > self._newest:
            self._newest = int(newest)
            self.seen.append((self._newest, now))


async def listen(port: int, paths: list[str]) -> list[Listener]:
    """Open all streams, and wait until each has been told what is."""
    loop, made = asyncio.get_running_loop(), []
    for first in range(0, len(paths), OPENING):
        few = []
        for path in paths[first : first + OPENING]:
            _, one = await loop.create_connection(
                lambda path=path: Listener(path),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            few.append(one)
        await asyncio.gather(*(one.answered for one in few))
        made += few
    return made


async def poll(port: int, paths: list[str]) -> list[Poller]:
    """Let all ask, spread over a second."""
    made = [Poller(path) for path in paths]
    for one in made:
        await one.open(port)
    return made


async def ask_on(pollers: list[Poller]) -> None:
    """Every one at its own moment of the second."""

    async def later(one: Poller, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await one.run()
        except (OSError, asyncio.IncompleteReadError):
            one.lost = True

    spread = (POLL_SECONDS * n / len(pollers) for n in range(len(pollers)))
    await asyncio.gather(*map(later, pollers, spread))


def told(clients: list[Any]) -> dict[str, Any]:
    """What they saw: every mark with the moments at which it was seen first."""
    marks: dict[int, list[float]] = {}
    for client in clients:
        for mark, at in client.seen:
            marks.setdefault(mark, []).append(at)
    return {
        "marks": marks,
        "took": [it for one in clients for it in getattr(one, "took", ())],
        "bytes": sum(getattr(one, "bytes", 0) for one in clients),
        "lost": sum(one.lost for one in clients),
    }


async def main(mode: str, port: int) -> None:
    """Be the crowd."""
    lines = iter(sys.stdin.readline, "")
    paths = [line.strip() for line in iter(lambda: next(lines), "\n")]
    clients: list[Any] = await (listen if mode == "listen" else poll)(port, paths)
    asking = None
    if mode == "poll":
        asking = asyncio.create_task(ask_on(clients))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(told(clients)), flush=True)
    if asking is not None:
        asking.cancel()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
