"""The soak's figures: what was done, and what was found wrong, counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

#: What must be 0, in the words of the table.
FAULTLESS = ("lost", "doubled", "stuck", "unexplained", "other")
_DONE = ("schedules", "kills", "stops", "cuts", "faults", "asked", "ended", "effects")


@dataclass(slots=True)
class Figures:
    """Of one block, or of several."""

    done: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """Tasks that were left to a person, by cause."""
    wrong: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: "Figures") -> None:
        """Count another's too."""
        self.done += other.done
        self.held += other.held
        self.wrong += other.wrong
        self.seconds += other.seconds

    def line(self) -> str:
        """All of it in one line."""
        done = ", ".join(f"{self.done[name]} {name}" for name in _DONE)
        held = f"{self.held.total()} held"
        wrong = ", ".join(f"{self.wrong[name]} {name}" for name in FAULTLESS)
        return f"{done}, {held}; {wrong}; {self.seconds:.0f} s"


def table(figures: Figures) -> Iterable[str]:
    """Every figure on a line of its own."""
    for name in _DONE:
        yield f"{figures.done[name]:8} {name}"
    for name in sorted(set(figures.done) - set(_DONE)):
        yield f"{figures.done[name]:8}   {name}"
    yield f"{figures.held.total():8} held"
    for cause, count in sorted(figures.held.items()):
        yield f"{count:8}   held: {cause}"
    for name in FAULTLESS:
        yield f"{figures.wrong[name]:8} {name}"
    yield f"{figures.seconds:8.0f} seconds"
