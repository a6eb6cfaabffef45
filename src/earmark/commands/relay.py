"""A console's way through a worker: from the web process that has the browser, which
the worker dials, to the VM's console, which only the worker may be able to reach.

The provider's security handshake is over when a relay begins. To the browser it offers
security "None": who may be there was decided by the ticket, and the relay's own secret.
"""

import threading
from contextlib import ExitStack, suppress
from enum import IntEnum
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from earmark.domain.capabilities import ConsoleWire
from earmark.domain.errors import ProviderError, Unavailable

DIAL_SECONDS = 5.0
VERSION = b"RFB 003.008\n"
_ONLY_NONE = bytes([1, 1])
_NONE, _WELCOME = bytes([1]), bytes(4)
#: What a browser may send at once (a pasted text), in bytes.
_MOST_AT_ONCE = 8 << 20


class Why(IntEnum):
    """Why a relay was closed, as WebSocket close codes."""

    PROVIDER_ENDED = 4001
    WORKER_STOPS = 4002
    BROKEN = 4003
    NOT_EXPECTED = 4403


class Relay:
    """An `Attendant`: pumps bytes both ways until either side ends."""

    def __init__(
        self, dialled: ExitStack, web: ClientConnection, wire: ConsoleWire
    ) -> None:
        self._dialled = dialled
        self._web = web
        self._wire = wire

    @classmethod
    def dial(
        cls, address: str, console: str, secret: str, wire: ConsoleWire
    ) -> "Relay":
        """Join the browser that waits at `address` (an http or https URL).

        Raises `Unavailable` when the web process is not reached, or expects nobody
        (any more).
        """
        parts = urlsplit(address)
        scheme = "wss" if parts.scheme == "https" else "ws"
        place = f"{parts.path.rstrip('/')}/consoles/{console}/relay"
        dialled = ExitStack()
        try:
            opening = connect(
                urlunsplit((scheme, parts.netloc, place, "", "")),
                open_timeout=DIAL_SECONDS,
                close_timeout=1,
                compression=None,
                proxy=None,
                max_size=_MOST_AT_ONCE,
            )
            web = dialled.enter_context(opening)
        except (OSError, WebSocketException) as error:
            raise Unavailable(
                f"The web process at {address} cannot be reached from this worker: "
                f"{error}.",
                hint="Tell the web process an address that workers reach, in "
                "EARMARK_RELAY_URL.",
            ) from error
        try:
            web.send(secret)
            web.recv(timeout=DIAL_SECONDS)
        except (OSError, WebSocketException) as error:
            dialled.close()
            raise Unavailable("The browser did not wait for this console.") from error
        return cls(dialled, web, wire)

    def run(self) -> None:
        """Greet the browser, then pump until the end."""
        inward = threading.Thread(target=self._inward, name="console-in", daemon=True)
        try:
            self._greet()
            inward.start()
            self._outward()
        except ConnectionClosed:
            pass  # the browser left, or its web process
        except (OSError, ProviderError) as error:
            self._close(Why.BROKEN, f"The console broke: {error}.")
        finally:
            self._wire.close()
            self._close(Why.PROVIDER_ENDED, "The provider ended this console.")
            self._dialled.close()

    def end(self, why: str) -> None:
        """Close both sides; `run` returns."""
        self._close(Why.WORKER_STOPS, f"The console ended: {why}.")
        self._wire.close()

    def _greet(self) -> None:
        """The server's side of the handshake, RFB 3.8, up to where the wire begins."""
        self._web.send(VERSION)
        said = self._exactly(len(VERSION))
        if said != VERSION:
            raise ProviderError("the browser's client speaks another version of RFB")
        self._web.send(_ONLY_NONE)
        if self._exactly(1) != _NONE:
            raise ProviderError("the browser's client wants another security")
        self._web.send(_WELCOME)

    def _exactly(self, count: int) -> bytes:
        """A client waits for each answer here, so it never sends more than is due."""
        data = b""
        while len(data) < count:
            data += self._heard()
        if len(data) > count:
            raise ProviderError("the browser's client sent too much")
        return data

    def _heard(self) -> bytes:
        message = self._web.recv()
        return message if isinstance(message, bytes) else message.encode()

    def _inward(self) -> None:
        try:
            while True:
                self._wire.write(self._heard())
        except (OSError, ConnectionClosed):
            self._wire.close()

    def _outward(self) -> None:
        while data := self._wire.read():
            self._web.send(data)

    def _close(self, why: Why, reason: str) -> None:
        with suppress(OSError, WebSocketException):
            self._web.close(why, reason[:100])
