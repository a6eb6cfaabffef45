"""Invariant 1: no byte of a changing request leaves before its placeholder is durably
committed as `sending`. A proxy before the provider reads the row itself, on a
connection of its own, before it forwards anything."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import sqlalchemy as sa

from earmark.commands import AddVmTemplate, PowerOff
from earmark.store import inventory
from earmark.store.schema import placeholders
from tests.acceptance.house import House


class Witness:
    """Forwards to the lab, and notes what the database said of each token."""

    def __init__(self, house: House) -> None:
        self.seen: list[tuple[str, str | None]] = []
        witness = self
        own = sa.create_engine(house.engine.database.url)

        class Handler(BaseHTTPRequestHandler):
            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.command == "POST":
                    token = json.loads(body)["token"]
                    query = sa.select(placeholders.c.state)
                    query = query.where(placeholders.c.id == token)
                    with own.connect() as connection:
                        state = connection.execute(query).scalar_one_or_none()
                    witness.seen.append((token, state))
                answer = httpx.request(
                    self.command,
                    house.lab.url + self.path,
                    content=body,
                    headers={
                        name: value
                        for name, value in self.headers.items()
                        if name.lower() in ("authorization", "content-type")
                    },
                    timeout=10,
                )
                self.send_response(answer.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = forward  # noqa: N815 - the names are the library's

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self._own = own

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._own.dispose()


@pytest.fixture
def witness(house: House) -> Iterator[Witness]:
    between = Witness(house)
    provider = house.engine.read(lambda tx: inventory.provider(tx, "lab"))
    settings = {**provider.settings, "url": between.url}
    house.engine.write(
        lambda tx: inventory.change_provider(
            tx, provider.id, settings=settings, version=2
        )
    )
    yield between
    between.close()


def test_no_byte_before_the_intent(house: House, witness: Witness) -> None:
    house.worker()
    for command in (PowerOff(vm="web01"), AddVmTemplate(vm="db01", name="golden")):
        task = house.ask(command)
        assert house.end_of(task).outcome == "ok", house.story(task)
    assert [state for _, state in witness.seen] == ["sending"] * 5
    assert len({token for token, _ in witness.seen}) == 5
