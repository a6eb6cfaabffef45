"""Did a byte leave? Proved on sockets that count, never by an exception's name."""

import ssl
import time
from pathlib import Path

import pytest

from earmark.domain.capabilities import VerifyCode
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, NotSent, ProviderError
from earmark.providers import transport
from earmark.providers.reach import Unreached
from earmark.providers.transport import Answer, Request, exchange, network, trust
from tests.providers.certificates import self_signed
from tests.providers.wire import (
    PATIENCE,
    ClosedPort,
    WireServer,
    always,
    answering,
    cutting,
    dripping,
    plain_only,
    silent,
)

ORDER = b'{"token": "t"}'


def post(
    url: str, deadline: Deadline | float = PATIENCE, ca_file: Path | None = None
) -> Answer:
    until = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
    return exchange(Request("POST", url + "/order", body=ORDER), until, trust(ca_file))


class Overslept(Deadline):
    """A sender that was stopped between connecting and its first byte."""

    def __init__(self, server: WireServer) -> None:
        super().__init__(PATIENCE)
        self._server = server

    def check_before_sending(self) -> None:
        assert self._server.accepted.wait(PATIENCE), "asked before connecting"
        self._end = time.monotonic()
        super().check_before_sending()


def test_an_answer_comes_back_whole_whatever_its_status() -> None:
    with always(answering(404, "no such thing", "text/x-words")) as server:
        answer = post(server.url)
    assert (answer.status, answer.body) == (404, b"no such thing")
    assert answer.headers["content-type"] == "text/x-words"
    assert server.received.startswith(b"POST /order HTTP/1.1\r\n")
    assert server.received.endswith(b"\r\n\r\n" + ORDER)


def test_a_clients_way_to_the_network_is_the_same_exchange(tmp_path: Path) -> None:
    with always(answering(200, "here")) as server:
        answer = network()(Request("GET", server.url), Deadline(PATIENCE))
    assert answer.body == b"here"
    with pytest.raises(NotSent):
        network()(Request("GET", server.url), Deadline(PATIENCE))
    with pytest.raises(BadInput, match="CA file"):
        network(tmp_path / "none.pem")


def test_a_closed_port_gets_nothing() -> None:
    with ClosedPort() as url, pytest.raises(Unreached) as caught:
        post(url)
    assert caught.value.reason is VerifyCode.REFUSED


def test_a_name_that_does_not_resolve_gets_nothing() -> None:
    with pytest.raises(Unreached) as caught:
        post("http://nonexistent.invalid")
    assert caught.value.reason is VerifyCode.DNS
    assert "nonexistent.invalid" in str(caught.value)


def test_a_name_that_no_resolver_accepts_gets_nothing() -> None:
    with pytest.raises(Unreached) as caught:
        post(f"http://{'x' * 70}.invalid")
    assert caught.value.reason is VerifyCode.DNS


def test_tls_to_a_plain_port_sends_no_request() -> None:
    with (
        plain_only() as server,
        pytest.raises(Unreached) as caught,
    ):
        post(server.url.replace("http:", "https:"))
    assert caught.value.reason is VerifyCode.TLS
    assert ORDER not in server.received
    assert b"POST" not in server.received


def test_a_silent_handshake_is_a_timeout_and_sends_no_request() -> None:
    with silent() as server, pytest.raises(Unreached) as caught:
        post(server.url.replace("http:", "https:"), deadline=0.3)
    assert caught.value.reason is VerifyCode.TIMEOUT
    assert b"POST" not in server.received


def tls_server(pem: Path) -> WireServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = WireServer(lambda _: None, context)

    def script(connection: object) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        server.request(connection)
        connection.sendall(answering(200, "hello"))

    server._script = script
    return server


def test_an_untrusted_certificate_sends_no_request(tmp_path: Path) -> None:
    with (
        tls_server(self_signed(tmp_path / "it.pem")) as server,
        pytest.raises(Unreached) as caught,
    ):
        post(server.url)
    assert caught.value.reason is VerifyCode.TLS
    assert "self-signed" in str(caught.value)
    assert not server.received


def test_a_certificate_is_trusted_when_its_authority_is_given(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "it.pem")
    with tls_server(pem) as server:
        assert post(server.url, ca_file=pem).body == b"hello"


def test_a_deadline_that_passes_after_the_tls_handshake_sends_no_request(
    tmp_path: Path,
) -> None:
    pem = self_signed(tmp_path / "it.pem")
    with tls_server(pem) as server, pytest.raises(NotSent):
        exchange(Request("POST", server.url, body=ORDER), Overslept(server), trust(pem))
    assert server.connections == 1
    assert not server.received


def test_a_deadline_that_passes_after_connecting_sends_no_byte() -> None:
    with silent() as server, pytest.raises(NotSent):
        post(server.url, Overslept(server))
    # The server has read until we hung up, and got nothing.
    assert server.connections == 1
    assert not server.received


def test_a_deadline_that_has_passed_does_not_even_connect() -> None:
    with silent() as server, pytest.raises(NotSent):
        post(server.url, deadline=-1)
    assert server.connections == 0


def test_a_request_that_is_cut_is_in_doubt() -> None:
    with cutting() as server, pytest.raises(ConnectionError):
        post(server.url)
    assert server.connections == 1


def test_a_connection_that_is_cut_at_once_is_in_doubt() -> None:
    # The first byte may have arrived or not: only the server knows.
    with WireServer(lambda _: None) as server, pytest.raises(ConnectionError):
        post(server.url)
    assert server.connections == 1


def test_a_server_that_hangs_costs_no_more_than_the_deadline() -> None:
    begun = time.monotonic()
    with silent() as server, pytest.raises(TimeoutError):
        post(server.url, deadline=1.0)
    assert 0.9 < time.monotonic() - begun < 5
    assert server.received.endswith(ORDER)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 9999, id="headers"),
        pytest.param(answering(200, "x" * 9999), id="body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1\r\nx\r\n" * 9999,
            id="chunks",
        ),
    ],
)
def test_a_server_that_drips_gains_no_time_by_it(answer: bytes) -> None:
    begun = time.monotonic()
    with dripping(answer, 0.01) as server, pytest.raises(TimeoutError):
        post(server.url, deadline=1.0)
    assert 0.9 < time.monotonic() - begun < 5


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with always(answering(200, "elsewhere")) as elsewhere:
        moved = answering(307, "").replace(
            b"Server: wire", f"Location: {elsewhere.url}".encode()
        )
        with always(moved) as server:
            assert post(server.url).status == 307
        assert server.connections == 1
    assert elsewhere.connections == 0


def test_every_call_has_a_connection_of_its_own() -> None:
    with always(answering(200, "")) as server:
        post(server.url)
        post(server.url)
    assert server.connections == 2


def test_proxies_of_the_environment_are_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ClosedPort() as nowhere, always(answering(200, "direct")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, nowhere)
        assert post(server.url).body == b"direct"


def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 1000)
    endless = answering(200, "x" * 1001)
    with always(endless) as server, pytest.raises(ProviderError) as caught:
        post(server.url)
    assert not isinstance(caught.value, NotSent)


def test_a_request_that_cannot_be_written_was_not_sent() -> None:
    with always(answering(200, "")) as server, pytest.raises(NotSent):
        exchange(
            Request("POST", server.url, {"X-Name": "line\nbreak"}),
            Deadline(PATIENCE),
            trust(),
        )
    assert not server.received


def test_a_ca_file_must_hold_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(BadInput, match="CA file"):
            trust(tmp_path / name)
