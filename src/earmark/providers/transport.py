"""The connectors' one door to the network: one request, one connection, one answer.

The engine's promise hangs on one question: may a byte of this request have left? A
client library's exceptions do not answer it. So the stream under the library is
ours: the first write of the request asks the deadline and is remembered. What fails
before it is `NotSent`, whatever it is; what fails after it is doubt, whatever it is.

There are no redirects, no retries, no proxies and no reused connections: a request
on a connection that the server was just closing would be in doubt for nothing.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore

from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, NotSent, ProviderError
from earmark.providers.endpoint import Url
from earmark.providers.reach import GuardedNetwork
from earmark.providers.verifying import verification_of

__all__ = [
    "Answer",
    "Exchange",
    "Request",
    "Url",
    "exchange",
    "network",
    "trust",
    "verification_of",
]

#: An answer that is larger is no answer that we can use, in bytes.
MAX_ANSWER = 64 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent. `headers` go out as they are, next to Host and length."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


#: How a client gets its answers: `network()`, or a fake inside the test's process. A
#: fake calls `deadline.check_before_sending()` before it takes a request, as a
#: connection does.
Exchange = Callable[[Request, Deadline], Answer]


def network(ca_file: Path | None = None) -> Exchange:
    """Return an `exchange` over real connections, which trusts as `trust` says.

    Raises `BadInput` when the file holds no certificate.
    """
    trusted = trust(ca_file)
    return lambda request, deadline: exchange(request, deadline, trusted)


def trust(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return whom to trust: the given authorities alone, or else the public ones.

    Raises `BadInput` when the file holds no certificate.
    """
    if ca_file is None:
        return httpcore.default_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise BadInput(
            f"The CA file {ca_file} cannot be used: {error.strerror or error}.",
            hint="Name a readable file with certificates in PEM.",
            fields={"ca_file": "not a readable file with certificates in PEM"},
        ) from error


def exchange(request: Request, deadline: Deadline, trusted: ssl.SSLContext) -> Answer:
    """Send the request once and return the whole answer, before the deadline.

    Raises `NotSent` only when no byte of the request left (its subclass `Unreached`
    says why no connection came about). Any other exception leaves it in doubt:
    `TimeoutError` and `ConnectionError` when there was no answer, or no whole one,
    and `ProviderError` when it was too large.
    """
    network = GuardedNetwork(deadline)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=trusted,
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=network,
            ) as pool,
            pool.stream(
                request.method,
                request.url,
                headers=[*request.headers.items(), ("Connection", "close")],
                content=request.body,
            ) as response,
        ):
            return Answer(
                response.status,
                _readable(response.headers),
                _whole(response.iter_stream()),
            )
    except NotSent:
        raise
    except Exception as error:
        if not network.request_left:
            raise NotSent(f"The request could not be sent: {error}.") from error
        silence = _silence(error, request.url)
        if silence is None:
            raise
        raise silence from error


def _silence(error: Exception, url: str) -> Exception | None:
    """Say it in Python's own words: nobody else shall need to know httpcore's."""
    if isinstance(error, httpcore.TimeoutException):
        return TimeoutError(f"{url} did not answer in time.")
    if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError):
        return ConnectionError(f"{url} gave no whole answer: {str(error).rstrip('.')}.")
    return None


def _readable(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in headers
    }


def _whole(chunks: Iterable[Any]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ProviderError(f"The answer is larger than {MAX_ANSWER >> 20} MiB.")
    return bytes(body)
