"""Story: how a run went, in the room that there is: what repeats is told once, and the
end is told whole."""

import textwrap
from collections.abc import Iterator, Sequence

#: A round of a loop has at most so many lines.
_ROUND = 6


def fitted(story: Sequence[str], room: int, width: int) -> list[str]:
    """At most so many lines of that width: how it began, and how it ended."""
    told = list(_folded(story))
    begin = [] if len(told) <= room else [*told[: room // 3], "…"]
    lines = [_cut(line, width) for line in begin]
    return [*lines, *_the_end(told, room - len(lines), width)]


def _the_end(told: Sequence[str], room: int, width: int) -> list[str]:
    """All of it, if each has a line; else the last of it. The later is told whole."""
    every = len(told) <= room
    lines: list[str] = []
    for number, line in enumerate(reversed(told), start=1):
        whole = textwrap.wrap(line, width, subsequent_indent="    ")
        still = len(told) - number if every else 0
        if len(lines) + len(whole) + still > room:
            if not every:
                break
            whole = [_cut(line, width)]
        lines = [*whole, *lines]
    return lines


def _folded(story: Sequence[str]) -> Iterator[str]:
    """Rounds of a loop told once, and counted."""
    at = 0
    while at < len(story):
        length, copies = _loop(story[at:])
        yield from story[at : at + length]
        if copies > 1:
            what = "the same" if length == 1 else f"these {length} lines"
            again = "once more" if copies == 2 else f"{copies - 1} more times"
            yield f"… {what} {again}"
        at += length * copies


def _loop(story: Sequence[str]) -> tuple[int, int]:
    """How many lines a loop that begins here has, and how often it is gone round; one
    line, once, where there is none."""
    found = (1, 1)
    for length in range(1, _ROUND + 1):
        first, copies = story[:length], 1
        while story[copies * length : (copies + 1) * length] == first:
            copies += 1
        saves, best = (copies - 1) * length - 1, (found[1] - 1) * found[0] - 1
        if copies > 1 and saves > max(best, 0):
            found = (length, copies)
    return found


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
