"""One connection to a console: the server's side of RFB 3.8 (RFC 6143)."""

import asyncio
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from earmark.lab.consoles.screen import (
    CELL_HEIGHT,
    HEIGHT,
    LINES,
    WIDTH,
    Screen,
    pixels,
)

VERSION = b"RFB 003.008\n"
_VNC_AUTHENTICATION = 2
_LIGHT, _DARK = (0xE6, 0xED, 0xE6), (0x10, 0x18, 0x20)
#: The largest text that a client may paste, in bytes.
_MOST_PASTED = 1 << 20


class Gone(Exception):
    """The client is not, or no longer, one that we serve."""


@dataclass
class PixelFormat:
    """How the client wants pixels (RFC 6143, 7.4)."""

    raw: bytes = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)

    def pixel(self, colour: tuple[int, int, int]) -> bytes:
        """Return a colour's bytes; raise Gone for palettes, which we have none of."""
        bits, _, big, true, *rest = struct.unpack(">BBBBHHHBBB", self.raw[:13])
        if not true or bits not in (8, 16, 32):
            raise Gone("only true colour is served")
        largest, shifts = rest[:3], rest[3:]
        value = 0
        for part, most, shift in zip(colour, largest, shifts, strict=True):
            value |= (part * most // 255) << shift
        return value.to_bytes(bits // 8, "big" if big else "little")


class Viewer:
    """Serves one client from its first byte to its last.

    ``admit`` is given a check of the client's answer, and returns the screen of the
    machine whose password it knows, or None.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        admit: Callable[[Callable[[str], bool]], Screen | None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._admit = admit
        self._format = PixelFormat()
        self._stale = set(range(LINES))
        self._asked = False

    async def serve(self) -> None:
        """Return when the client is gone; raise Gone for one that is refused."""
        screen = await self._greet()
        screen.changed.add(self._note)
        self._screen = screen
        try:
            while True:
                await self._message()
                await self._writer.drain()
        finally:
            screen.changed.discard(self._note)

    async def _greet(self) -> Screen:
        self._writer.write(VERSION)
        if await self._reader.readexactly(len(VERSION)) != VERSION:
            raise Gone("only RFB 3.8 is served")
        self._writer.write(bytes([1, _VNC_AUTHENTICATION]))
        if await self._reader.readexactly(1) != bytes([_VNC_AUTHENTICATION]):
            raise Gone("no such security type")
        challenge = os.urandom(16)
        self._writer.write(challenge)
        answer = await self._reader.readexactly(16)

        def knows(password: str) -> bool:
            return hmac.compare_digest(response(challenge, password), answer)

        screen = self._admit(knows)
        if screen is None:
            reason = b"The password is wrong, used or too old."
            self._writer.write(struct.pack(">II", 1, len(reason)) + reason)
            await self._writer.drain()
            raise Gone("wrong password")
        self._writer.write(struct.pack(">I", 0))
        await self._reader.readexactly(1)  # shared or not: all look at one screen
        name = screen.lines[0].encode()
        start = struct.pack(">HH", WIDTH, HEIGHT) + self._format.raw
        self._writer.write(start + struct.pack(">I", len(name)) + name)
        return screen

    async def _message(self) -> None:
        kind = (await self._reader.readexactly(1))[0]
        if kind == 0:
            raw = (await self._reader.readexactly(19))[3:]
            self._format = PixelFormat(raw)
            self._format.pixel(_LIGHT)
        elif kind == 2:
            _, count = struct.unpack(">BH", await self._reader.readexactly(3))
            await self._reader.readexactly(4 * count)  # raw is what all can read
        elif kind == 3:
            incremental = (await self._reader.readexactly(9))[0]
            self._stale |= set() if incremental else set(range(LINES))
            self._asked = True
            self._update()
        elif kind == 4:
            down, key = struct.unpack(">BxxI", await self._reader.readexactly(7))
            self._screen.key(key, bool(down))
        elif kind == 5:
            await self._reader.readexactly(5)  # there is no mouse
        elif kind == 6:
            (length,) = struct.unpack(">xxxI", await self._reader.readexactly(7))
            if length > _MOST_PASTED:
                raise Gone("too much text")
            await self._reader.readexactly(length)
        else:
            raise Gone(f"there is no message {kind}")

    def _note(self, lines: set[int]) -> None:
        self._stale |= lines
        self._update()

    def _update(self) -> None:
        """Send what has changed, once the client has asked for it."""
        if not (self._asked and self._stale):
            return
        light, dark = self._format.pixel(_LIGHT), self._format.pixel(_DARK)
        sent = bytearray(struct.pack(">BxH", 0, len(self._stale)))
        for line in sorted(self._stale):
            y = line * CELL_HEIGHT
            sent += struct.pack(">HHHHi", 0, y, WIDTH, CELL_HEIGHT, 0)
            sent += b"".join(pixels(self._screen.line(line), light, dark))
        self._asked, self._stale = False, set()
        self._writer.write(bytes(sent))


def response(challenge: bytes, password: str) -> bytes:
    """Return what a client answers that knows the password (RFC 6143, 7.2.2)."""
    # DES takes the bits of each byte in the other order here, and eight bytes.
    short = password.encode("latin-1")[:8].ljust(8, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in short)
    cipher = Cipher(TripleDES(key * 3), modes.ECB())  # noqa: S305 - as RFB has it
    return cipher.encryptor().update(challenge)
