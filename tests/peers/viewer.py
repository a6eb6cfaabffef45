"""An RFB client of our own: what a browser's noVNC does, without a browser."""

from __future__ import annotations

import struct
from collections.abc import Callable

from earmark.lab.consoles.screen import CELL_HEIGHT, COLUMNS, WIDTH, pixels

#: noVNC's pixels: 32 bits, little endian, red first.
FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
LIGHT, DARK = bytes((0xE6, 0xED, 0xE6, 0)), bytes((0x10, 0x18, 0x20, 0))


class Viewer:
    """Looks at a console whose security handshake is still to come."""

    def __init__(self, receive: Callable[[], bytes], send: Callable[[bytes], None]):
        self._receive = receive
        self._send = send
        self._buffer = b""
        self.name = ""
        self._lines: dict[int, bytes] = {}

    def enter(self) -> None:
        """Pass a handshake that asks for no password, and ask for the whole screen."""
        assert self.read(12) == b"RFB 003.008\n"
        self._send(b"RFB 003.008\n")
        assert self.read(2) == b"\x01\x01", "security None and nothing else"
        self._send(b"\x01")
        assert self.read(4) == bytes(4)
        self.start()

    def start(self) -> None:
        """Begin after the handshake."""
        self._send(b"\x01")
        *_, length = struct.unpack(">HH16sI", self.read(24))
        self.name = self.read(length).decode()
        self._send(b"\x00\x00\x00\x00" + FORMAT)
        self._send(struct.pack(">BxHi", 2, 1, 0))
        self._ask(whole=True)

    def press(self, text: str) -> None:
        for character in text:
            for down in (1, 0):
                self._send(struct.pack(">BBxxI", 4, down, ord(character)))

    def shows(self, text: str) -> bool:
        """Whether a line of the screen is this text, as far as it is known now."""
        line = b"".join(pixels(text.ljust(COLUMNS), LIGHT, DARK))
        return line in self._lines.values()

    def wait_for(self, text: str) -> None:
        """Read updates until a line is this text."""
        while not self.shows(text):
            self._update()
            self._ask(whole=False)

    def read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self._receive()
            assert more, "the console ended"
            self._buffer += more
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _ask(self, *, whole: bool) -> None:
        self._send(struct.pack(">BBHHHH", 3, not whole, 0, 0, WIDTH, 400))

    def _update(self) -> None:
        kind, count = struct.unpack(">BxH", self.read(4))
        assert kind == 0
        for _ in range(count):
            _, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            assert (width, height, encoding) == (WIDTH, CELL_HEIGHT, 0)
            self._lines[y // CELL_HEIGHT] = self.read(width * height * 4)
