"""A text screen: lines of characters, what typing does to them, and their dots."""

from collections.abc import Callable, Iterator

from earmark.lab.consoles.font import rows

COLUMNS, LINES = 48, 18
#: A dot of the font is so many pixels wide and high.
_DOT = 3
CELL_WIDTH, CELL_HEIGHT = 4 * _DOT, 6 * _DOT
WIDTH, HEIGHT = COLUMNS * CELL_WIDTH, LINES * CELL_HEIGHT

_BACKSPACE, _RETURN, _ENTER, _DELETE = 0xFF08, 0xFF0D, 0xFF8D, 0xFFFF
_CONTROLS, _ALTS = {0xFFE3, 0xFFE4}, {0xFFE9, 0xFFEA}
#: Keysyms of keys that write nothing themselves, and what is shown for them.
_NAMED = {
    0xFF09: "<TAB>",
    0xFF1B: "<ESC>",
    0xFF50: "<HOME>",
    0xFF51: "<LEFT>",
    0xFF52: "<UP>",
    0xFF53: "<RIGHT>",
    0xFF54: "<DOWN>",
    0xFF57: "<END>",
    _DELETE: "<DEL>",
} | {0xFFBE + number: f"<F{number + 1}>" for number in range(12)}


class Screen:
    """The screen of one machine, which all who look at it share.

    ``changed`` is called with the numbers of the lines that look different.
    """

    def __init__(self, name: str) -> None:
        greeting = f"SIMULATED CONSOLE of {name}"[:COLUMNS]
        self.lines = [greeting, "Nothing here is real. It shows what you type.", "", ""]
        self.changed: set[Callable[[set[int]], None]] = set()
        self._held: set[int] = set()

    def key(self, keysym: int, down: bool) -> None:
        """Press or release a key."""
        if not down:
            self._held.discard(keysym)
            return
        self._held.add(keysym)
        if keysym == _DELETE and self._held & _CONTROLS and self._held & _ALTS:
            self._write("<CTRL-ALT-DEL>")
        elif keysym in (_RETURN, _ENTER):
            self._new_line()
        elif keysym == _BACKSPACE:
            self.lines[-1] = self.lines[-1][:-1]
            self._tell({len(self.lines) - 1})
        elif keysym in _NAMED:
            self._write(_NAMED[keysym])
        elif 0x20 <= keysym <= 0xFF:
            self._write(chr(keysym))

    def line(self, number: int) -> str:
        """Return a line as wide as the screen, the cursor included."""
        if number >= len(self.lines):
            return " " * COLUMNS
        cursor = "_" if number == len(self.lines) - 1 else ""
        return (self.lines[number] + cursor)[:COLUMNS].ljust(COLUMNS)

    def _write(self, text: str) -> None:
        if len(self.lines[-1]) + len(text) >= COLUMNS:
            self._new_line()
        self.lines[-1] += text
        self._tell({len(self.lines) - 1})

    def _new_line(self) -> None:
        self.lines.append("")
        if len(self.lines) > LINES:
            # The first line says what this is; it stays.
            del self.lines[1]
            self._tell(set(range(LINES)))
        else:
            self._tell({len(self.lines) - 2, len(self.lines) - 1})

    def _tell(self, lines: set[int]) -> None:
        for told in list(self.changed):
            told(lines)


def pixels(text: str, light: bytes, dark: bytes) -> Iterator[bytes]:
    """Yield the rows of pixels of a line of text, ``CELL_HEIGHT`` of them."""
    glyphs = [rows(character) for character in text]
    empty = dark * (CELL_WIDTH * len(text))
    for row in range(5):
        bits = (glyph[row] for glyph in glyphs)
        dots = (((b >> 2) & 1, (b >> 1) & 1, b & 1, 0) for b in bits)
        line = b"".join(
            (light if dot else dark) * _DOT for four in dots for dot in four
        )
        for _ in range(_DOT):
            yield line
    for _ in range(CELL_HEIGHT - 5 * _DOT):
        yield empty
