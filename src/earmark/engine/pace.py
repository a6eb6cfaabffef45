"""Pace: how long a task of its kind usually takes, by what past runs took."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from earmark.domain.task import Task
from earmark.store import durations
from earmark.store.database import Transaction

#: Of fewer runs nothing is said.
FEWEST = 5
#: How long what past runs took is believed without asking the store again.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the newest `runs` runs took that ended ok, from the first claim to the
    end: half of them at most `usual`, 99 of 100 at most `longest`."""

    runs: int
    usual: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a task may take, by the pace of its kind; `slow` when this one has been
    under way for longer than the longest."""

    runs: int
    usual: timedelta
    longest: timedelta
    slow: bool = False

    @property
    def text(self) -> str:
        """The same for people."""
        usual, longest = span(self.usual), span(self.longest)
        if self.runs < 100:
            if self.slow:
                return (
                    f"Slower than each of the last {self.runs} runs: usually {usual}."
                )
            return (
                f"Usually {usual}, each of the last {self.runs} runs within {longest}."
            )
        if self.slow:
            return f"Slower than 99 % of past runs: usually {usual}."
        return f"Usually {usual}, 99 of 100 within {longest}."


def pace_of(lengths: Sequence[timedelta]) -> Pace | None:
    """The pace of past runs; None when they are too few to say anything."""
    if len(lengths) < FEWEST:
        return None
    in_order = sorted(lengths)
    # The nearest rank: a length that a run really had.
    usual, longest = (
        in_order[math.ceil(share * len(in_order)) - 1] for share in (0.5, 0.99)
    )
    return Pace(len(in_order), usual, longest)


class Paces:
    """What is known of many kinds of runs. Who looks often keeps one: a kind is asked
    for again when what is known of it is older than `FRESH_SECONDS`."""

    def __init__(self) -> None:
        self._known: dict[durations.Kind, tuple[float, Pace | None]] = {}

    def expected(self, tx: Transaction, shown: Iterable[Task]) -> dict[str, Expected]:
        """Task → what to expect of it, of those that have not ended; missing of which
        there are too few past runs."""
        shown = list(shown)
        paces = self.of(tx, shown)
        return {
            task.id: Expected(pace.runs, pace.usual, pace.longest, slow(task, pace, tx))
            for task in shown
            if (pace := paces.get(task.id)) is not None
        }

    def of(self, tx: Transaction, shown: Iterable[Task]) -> dict[str, Pace]:
        """Task → the pace of its kind, of those that have not ended."""
        kinds = {t.id: (t.command, t.provider_id) for t in shown if not t.done}
        now = time.monotonic()
        known = {
            kind: kept
            for kind, kept in self._known.items()
            if now - kept[0] < FRESH_SECONDS
        }
        missing = set(kinds.values()) - set(known)
        if missing:
            took = durations.took(tx, missing)
            for kind in missing:
                known[kind] = (now, pace_of(took.get(kind, ())))
        self._known = known
        paces = ((task_id, known[kind][1]) for task_id, kind in kinds.items())
        return {task_id: pace for task_id, pace in paces if pace is not None}


def slow(task: Task, pace: Pace, tx: Transaction) -> bool:
    """True when the task has been under way for longer than the longest of them."""
    return task.started_at is not None and tx.now - task.started_at > pace.longest


def span(length: timedelta) -> str:
    """Write a length of time in at most two units."""
    seconds = max(0, round(length.total_seconds()))
    if not seconds and length:
        return "less than 1 s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    told = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(told) or "0 s"
