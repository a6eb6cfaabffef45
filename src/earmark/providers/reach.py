"""Connections that know the deadline, and whether a request may have left on them.

These are httpcore's own extension points (`NetworkBackend`, `NetworkStream`), put
around its own sockets.
"""

import socket
import ssl
from collections.abc import Iterable

import httpcore

from earmark.domain.capabilities import VerifyCode
from earmark.domain.deadline import Deadline
from earmark.domain.errors import NotSent


class Unreached(NotSent):
    """No connection came about, so no byte of the request left; `reason` says why."""

    def __init__(self, message: str, reason: VerifyCode, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects for one request, and remembers whether it has begun to leave.

    All waiting together ends at the deadline, except for the look-up of a name:
    that is the C library's, whose own limit (`/etc/resolv.conf`) holds.
    """

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.request_left = False
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> "GuardedStream":
        """Try the host's addresses in turn; raise `Unreached` when none answers."""
        failure = Unreached(
            f"The deadline passed before {host}:{port} answered.", VerifyCode.TIMEOUT
        )
        for address in _addresses(host, port):
            if self.deadline.passed():
                break
            try:
                stream = self._sockets.connect_tcp(
                    address,
                    port,
                    self.deadline.remaining(),
                    local_address,
                    socket_options or (),
                )
            except httpcore.ConnectTimeout:
                continue
            except httpcore.ConnectError as error:
                failure = Unreached(
                    f"Nothing answers at {host}:{port}: {_cause(error)}.",
                    VerifyCode.REFUSED,
                    hint="Check the port, and that the service runs.",
                )
                continue
            return GuardedStream(stream, self)
        raise failure


class GuardedStream(httpcore.NetworkStream):
    """A connection whose first byte asks the deadline, and whose waits end with it."""

    def __init__(self, stream: httpcore.NetworkStream, network: GuardedNetwork) -> None:
        self._stream = stream
        self._network = network

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send; raises `NotSent` when the time is over and nothing was sent yet."""
        deadline = self._network.deadline
        if not self._network.request_left:
            deadline.check_before_sending()
            self._network.request_left = True
        elif deadline.passed():
            # Without its last bytes the request cannot take effect, but that is the
            # server's to know: doubt.
            raise httpcore.WriteTimeout("the deadline passed while sending")
        self._stream.write(buffer, deadline.remaining())

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive; a server that sends a byte now and then gains no time by it."""
        if self._network.deadline.passed():
            raise httpcore.ReadTimeout("the deadline passed before the answer's end")
        return self._stream.read(max_bytes, self._network.deadline.remaining())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "GuardedStream":
        """Shake hands; that says nothing of the request. Raises `Unreached`."""
        remaining = self._network.deadline.remaining()
        try:
            secured = self._stream.start_tls(ssl_context, server_hostname, remaining)
        except httpcore.ConnectTimeout as error:
            raise Unreached(
                f"{server_hostname} accepted the connection but did not answer TLS.",
                VerifyCode.TIMEOUT,
                hint="Check the port: does it speak https?",
            ) from error
        except httpcore.ConnectError as error:
            raise _no_tls(server_hostname, error) from error
        return GuardedStream(secured, self._network)

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        """Hand on what httpcore asks of its own stream."""
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreached(
            f"The name {host} cannot be resolved: {_cause(error)}.",
            VerifyCode.DNS,
            hint="Check the spelling, and this machine's name service.",
        ) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _no_tls(host: str | None, error: httpcore.ConnectError) -> Unreached:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreached(
            f"The certificate of {host} is not trusted: {cause.verify_message}.",
            VerifyCode.TLS,
            hint="Give the file of the authority that signed it.",
        )
    return Unreached(
        f"{host} does not speak TLS here: {_cause(error)}.",
        VerifyCode.TLS,
        hint="Check the port, or try http://.",
    )


def _cause(error: Exception) -> str:
    """The system's own words, without its numbers."""
    cause = error.__cause__ or error
    words = getattr(cause, "reason", None) or getattr(cause, "strerror", None)
    return str(words or cause).rstrip(".")
