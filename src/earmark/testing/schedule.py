"""A schedule: what befalls one run of a command. Written as a line of words, and read
from it, so that what was found can be played again."""

import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from earmark.domain.errors import BadInput
from earmark.testing.instants import boundaries


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


#: Runs one schedule; returns the instants that it met.
Run = Callable[[Schedule], list[str]]


def every_kill(run: Run, at: Callable[[str], bool] = lambda name: True) -> None:
    """Kill once at each instant that an undisturbed run meets, of those whose name is
    chosen. A request that was on its way then landed, or never left, or lands after the
    first look for it."""
    for number, name in enumerate(list(run(Schedule()))):
        if at(name):
            run(Schedule((number,)))
            if name.endswith(".send begins"):
                run(Schedule((number,), late=True))


def drawn_pairs(run: Run, most: int, seed: int) -> None:
    """Kill at one instant, and again at one of those that the rest then meets: this
    many pairs, drawn with this seed."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    firsts = len(run(Schedule()))
    met = functools.cache(lambda first: len(run(Schedule((first,)))))
    for _ in range(most):
        first = chosen.randrange(firsts)
        second = chosen.randrange(first + 1, max(met(first), first + 2))
        run(Schedule((first, second), late=chosen.random() < 0.3))


def every_cancel(run: Run) -> None:
    """Cancel once at each boundary, from outside."""
    for number in range(boundaries(run(Schedule()))):
        run(Schedule(cancel_at=number))


def drawn_cancels_and_kills(run: Run, most: int, seed: int) -> None:
    """Cancel at a boundary, and kill before, there or after: this many, drawn with
    this seed."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    cancels = boundaries(run(Schedule()))
    met = functools.cache(lambda at: len(run(Schedule(cancel_at=at))))
    for _ in range(most):
        cancel_at = chosen.randrange(cancels)
        kill = chosen.randrange(met(cancel_at))
        run(Schedule((kill,), cancel_at=cancel_at, late=chosen.random() < 0.3))
