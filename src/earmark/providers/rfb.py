"""The client's side of RFB 3.8 (VNC), as far as the security handshake.

The password ends here: what is handed on is an open connection.
"""

import socket
from contextlib import suppress

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from earmark.domain.deadline import Deadline
from earmark.domain.errors import ProviderError, Refused

VERSION = b"RFB 003.008\n"
_NONE, _PASSWORD = 1, 2
_MOST_SAID = 1024
_CHUNK = 1 << 16


class RfbWire:
    """Implements `domain.capabilities.ConsoleWire` on a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self) -> bytes:
        """Wait for bytes; empty at the end."""
        return self._connection.recv(_CHUNK)

    def write(self, data: bytes) -> None:
        """Send all of it."""
        self._connection.sendall(data)

    def close(self) -> None:
        """End it; whoever waits in `read` returns."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def connect(host: str, port: int, password: str, deadline: Deadline) -> RfbWire:
    """Connect, and let the server know that we have the password.

    Raises `Refused` when it does not want us, `ProviderError` when what listens there
    speaks no RFB that we speak, `OSError` (`TimeoutError`) when nothing answers.
    """
    connection = socket.create_connection((host, port), deadline.remaining())
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Handshake(connection, deadline).pass_security(password)
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return RfbWire(connection)


class _Handshake:
    """Reads exactly what is due, so that nothing of what follows is swallowed."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def pass_security(self, password: str) -> None:
        version = self._read(len(VERSION))
        if not version.startswith(b"RFB "):
            raise ProviderError("What listens there is no console: it speaks no RFB.")
        if version < VERSION:
            said = version.decode("ascii", "replace").strip()
            raise ProviderError(f"The console speaks {said}; at least 3.8 is needed.")
        self._connection.sendall(VERSION)
        offered = self._read(self._read(1)[0])
        if not offered:
            raise Refused(f"The console does not let us in: {self._reason()}")
        if _PASSWORD in offered:
            self._connection.sendall(bytes([_PASSWORD]))
            self._connection.sendall(_response(self._read(16), password))
        elif _NONE in offered:
            self._connection.sendall(bytes([_NONE]))
        else:
            kinds = ", ".join(str(kind) for kind in offered)
            raise ProviderError(f"The console asks for security {kinds}; not spoken.")
        if int.from_bytes(self._read(4)) != 0:
            raise Refused(f"The console does not let us in: {self._reason()}")

    def _reason(self) -> str:
        length = min(int.from_bytes(self._read(4)), _MOST_SAID)
        return self._read(length).decode("utf-8", "replace")

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self._connection.settimeout(self._deadline.remaining())
            more = self._connection.recv(count - len(data))
            if not more:
                raise ProviderError("The console hung up during the handshake.")
            data += more
        return data


def _response(challenge: bytes, password: str) -> bytes:
    """What shows that we know the password (RFC 6143, 7.2.2): single DES, which three
    times the same key makes of triple DES, with the bits of each byte reversed."""
    short = password.encode("latin-1")[:8].ljust(8, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in short)
    cipher = Cipher(TripleDES(key * 3), modes.ECB())  # noqa: S305 - as RFB has it
    return cipher.encryptor().update(challenge)
