"""A schedule: what befalls one run of a command. Written as a line of words, and read
from it, so that what was found can be played again."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from earmark.domain.errors import BadInput


class Fault(StrEnum):
    """What can befall one call; the number beside it tells which: of the changing
    calls, of the reads (`cut`), or of the runs of `finish`."""

    DROP = "drop"
    LOSE = "lose"
    LATE = "late"
    REPEAT = "repeat"
    REFUSE = "refuse"
    CUT = "cut"
    FINISH = "finish"


#: In words, of the call with that number.
SAID = {
    Fault.DROP: "changing call {0} never arrives, and times out",
    Fault.LOSE: "changing call {0} arrives, and its reply is lost",
    Fault.LATE: "changing call {0} times out, and arrives after the next look",
    Fault.REPEAT: "changing call {0} arrives twice",
    Fault.REFUSE: "changing call {0} is refused",
    Fault.CUT: "read {0} times out",
    Fault.FINISH: "finish {0} raises",
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Kills are told by the number of the instant, a cancel by the number of the
    boundary: only there is no transaction open.

    `late`: what was on its way when its sender was killed arrives after the next look.
    `strangers`: the command has been run before, so that what looks the same is there.
    """

    kills: tuple[int, ...] = ()
    late: bool = False
    cancel_at: int | None = None
    faults: tuple[tuple[Fault, int], ...] = ()
    strangers: bool = False

    def __str__(self) -> str:
        return " ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self.strangers:
            yield "strangers"
        yield from (f"{fault}={number}" for fault, number in self.faults)
        yield from (f"kill={number}" for number in self.kills)
        if self.late:
            yield "late"
        if self.cancel_at is not None:
            yield f"cancel={self.cancel_at}"
        if self == Schedule():
            yield "undisturbed"

    @property
    def quiet(self) -> bool:
        """True when nothing befalls it."""
        return not self.kills and not self.faults and self.cancel_at is None


def parse(line: str) -> Schedule:
    """The schedule of a line; raises `BadInput` for what is none."""
    found: dict[str, Any] = {"kills": (), "faults": ()}
    for word in line.split():
        name, _, number = word.partition("=")
        if word in ("late", "strangers"):
            found[word] = True
        elif name == "kill" and number.isdigit():
            found["kills"] += (int(number),)
        elif name == "cancel" and number.isdigit():
            found["cancel_at"] = int(number)
        elif name in Fault.__members__.values() and number.isdigit():
            found["faults"] += ((Fault(name), int(number)),)
        elif word != "undisturbed":
            raise BadInput(
                f"{word!r} is no word of a schedule.",
                hint="Copy the whole line after `replay=` from the report.",
            )
    return Schedule(**found)


def share_of(every: Iterable[str], share: int) -> Iterator[int]:
    """The numbers of these, of those with the same name one in so many, and at least
    one: here the first, there a later one."""
    named: dict[str, list[int]] = {}
    for number, name in enumerate(every):
        named.setdefault(name, []).append(number)
    chosen: list[int] = []
    for name, some in named.items():
        chosen += some[zlib.crc32(name.encode()) % min(share, len(some)) :: share]
    yield from sorted(chosen)
