"""Many streams on one real web process: it ends at once, and all find it again; who
does not read is left behind, and delays nobody."""

from __future__ import annotations

import asyncio
import socket
import time
from urllib.parse import quote

import httpx

from earmark.commands import VerifyCredentials
from earmark.domain.settings import Settings
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.web.app import GRACE_SECONDS, WebServer, open_listener, url_of
from earmark.web.live.streams import BACKLOG
from tests.peers import crowd

from .house import House
from .test_streams import run

STREAMS = 200
ROWS = 100
#: More than a connection holds between a server and a client that does not read.
LARGE = b": " + b"x" * 200_000 + b"\n\n"


def ask(engine: Engine, name: str, count: int = 1) -> list[str]:
    """Queue so many tasks of that name, which nobody carries out."""
    command = VerifyCredentials(name=name, kind="lab", settings={}, secrets={})
    return transact(engine, lambda tx: [command.enqueue(tx).id for _ in range(count)])


def deaf(port: int, path: str) -> socket.socket:
    """A client that asks for a stream and never reads it."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode())
    return made


def test_a_server_with_many_streams_ends_within_a_second(quiet_house: House) -> None:
    house = quiet_house
    ids = ask(house.engine, "mark-000001", ROWS)
    paths = [
        f"/events?topics=wait:{quote(f'/tasks/{ids[n % ROWS]}/wait?next=task')},recent"
        for n in range(STREAMS)
    ]
    port = int(house.url.rpartition(":")[2])

    async def scenario() -> tuple[float, list[crowd.Listener], list[crowd.Listener]]:
        first = await crowd.listen(port, paths)
        took = await asyncio.to_thread(house.web.stop)
        ask(house.engine, "mark-000002")
        house.web.start()
        second = await crowd.listen(port, paths)
        await asyncio.to_thread(house.web.stop)
        return took, first, second

    took, first, second = run(scenario())
    assert took < 1
    assert {seen for one in first for seen, _ in one.seen} == {1}
    assert all(one.lost for one in first)
    assert [one.seen[0][0] for one in second] == [2] * STREAMS


def test_who_does_not_read_is_left_behind_and_finds_back(
    engine: Engine, settings: Settings
) -> None:
    listener = open_listener("127.0.0.1:0")
    url, path = url_of(listener), "/events?topics=recent"
    server = WebServer(engine, settings)

    async def overwhelm() -> socket.socket:
        others = set(server._watcher._streams)
        never = deaf(int(url.rpartition(":")[2]), path)
        while not (new := server._watcher._streams - others):
            await asyncio.sleep(0)
        (stream,) = new
        for _ in range(BACKLOG * 3):
            stream.put(LARGE)
            await asyncio.sleep(0)
        return never

    async def scenario() -> tuple[bytes, float]:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)
        async with client, client.stream("GET", path) as reader:
            texts = reader.aiter_text()
            while "Nothing has been asked" not in await anext(texts):
                pass
            with await overwhelm() as never, await overwhelm():
                await asyncio.to_thread(ask, engine, "first")
                while "Verify credentials for first" not in await anext(texts):
                    pass
                never.setblocking(False)
                read = await left(never)
                async with client.stream("GET", path) as again:
                    texts = again.aiter_text()
                    while "Verify credentials for first" not in await anext(texts):
                        pass
                ending = time.monotonic()
                server.should_exit = True
                await serving
                return read, time.monotonic() - ending

    read, ended_after = run(asyncio.wait_for(scenario(), 60))
    # Cut after what was under way; nothing that came later is there.
    assert len(read) < BACKLOG * 2 * len(LARGE)
    assert b"Verify credentials" not in read
    # The other one never read, and is not waited for.
    assert ended_after < GRACE_SECONDS


async def left(client: socket.socket) -> bytes:
    """Read what is still there, up to the end of the answer."""
    read = b""
    while not read.endswith(b"\r\n0\r\n\r\n"):
        more = await asyncio.get_running_loop().sock_recv(client, 1 << 20)
        assert more, "the connection ended before the answer did"
        read += more
    return read
