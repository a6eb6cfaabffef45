"""The fake over HTTP that ships for authors: durable, faulty on demand, and the same in
the process as on a connection."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earmark import Deadline
from earmark.providers.transport import Answer, Exchange, Request, network
from earmark.testing import Asked, Effect, HttpFake, Problem, Reply, serve


class Shelf(HttpFake):
    """Keeps what is put into it, once for each name."""

    @property
    def connector(self) -> Any:
        return None

    def handle(self, asked: Asked) -> Reply:
        (name,) = asked.path
        if asked.method == "PUT":
            if self.get("thing", name):
                raise Problem(412, "exists", f"there is a {name}")
            self.put("thing", name, {"by": asked.token})
            self.made(asked.token, name)
        if asked.method == "DELETE":
            self.drop("thing", name)
            self.gone(name)
        return Reply(self.get("thing", name))


Ask = Callable[[str, str], Answer]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf.db")


@pytest.fixture(params=["inside", "over a connection"])
def ask(shelf: Shelf, request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Asks the shelf; a request that is no GET brings the token t."""
    if request.param == "inside":
        yield asking(shelf.exchange, "http://shelf.test")
        return
    server = serve(shelf)
    yield asking(network(), f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def asking(exchange: Exchange, url: str) -> Ask:
    def ask(method: str, path: str) -> Answer:
        headers = {} if method == "GET" else {Shelf.header: "t"}
        return exchange(Request(method, url + path, headers), Deadline(10))

    return ask


def test_what_is_made_outlives_the_process(
    shelf: Shelf, ask: Ask, tmp_path: Path
) -> None:
    assert ask("PUT", "/a%2Fb").status == 200
    assert ask("PUT", "/c").status == 200
    assert ask("DELETE", "/c").status == 200
    again = Shelf(tmp_path / "shelf.db")
    assert again.effects() == [Effect("t", "a/b", True), Effect("t", "c", False)]
    assert again.get("thing", "a/b") == {"by": "t"}
    again.reset()
    assert (shelf.effects(), ask("GET", "/c").body) == ([], b"null")


def test_a_no_leaves_nothing(shelf: Shelf, ask: Ask) -> None:
    ask("PUT", "/a")
    answer = ask("PUT", "/a")
    assert (answer.status, b"there is a a" in answer.body) == (412, True)
    assert len(shelf.effects()) == 1


@pytest.mark.parametrize(
    ("fault", "made"), [("lose-request", 0), ("lose-reply", 1), ("refuse", 0)]
)
def test_a_fault_befalls_one_changing_request(
    shelf: Shelf, ask: Ask, fault: str, made: int
) -> None:
    shelf.fault(fault, "PUT", "/a")
    assert ask("GET", "/a").status == 200
    assert ask("PUT", "/b").status == 200
    if fault == "refuse":
        assert ask("PUT", "/a").status == 409
    else:
        with pytest.raises(ConnectionError):
            ask("PUT", "/a")
    assert len(shelf.effects()) == 1 + made
    assert ask("PUT", "/a").status == (412 if made else 200)
