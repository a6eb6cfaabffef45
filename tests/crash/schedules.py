"""The product's own schedules: a command, the instants at which its workers are killed,
and how it must end. Every invariant is looked at on the way."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from earmark.domain.command import Command
from earmark.domain.task import Task
from earmark.engine.boundary import BOUNDARIES
from earmark.engine.enqueue import transact
from earmark.store import tasks
from earmark.testing import invariants
from earmark.testing.drive import Driver
from earmark.testing.instants import boundaries
from earmark.testing.schedule import Schedule, share_of

URL = "http://lab.test"


@dataclass(frozen=True)
class Case:
    """A command to be killed. `make` is given the lab's URL. `runs` names every command
    that takes part in it; `ends`: how it ends however often it is killed. `may_hold`:
    its provider cannot tell what became of a request, so that one whose answer was lost
    is a person's. `killed_ends` and `cancelled_ends`: how it may end as well when its
    worker was lost, or it was cancelled. `roots`: how often it is asked for at once."""

    name: str
    make: Callable[[str], Command[Any]]
    runs: tuple[str, ...] = ()
    ends: str = "ok"
    killed_ends: str = ""
    cancelled_ends: str = "cancelled"
    may_hold: bool = False
    roots: int = 1
    #: Many instants: only the boundaries are for every day.
    big: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass
class Schedules:
    """Every schedule of one driver; counts those that were tried."""

    driver: Driver
    tried: int = 0

    def every_kill(
        self,
        case: Case,
        at: Callable[[str], bool] = lambda name: True,
        share: int = 1,
    ) -> None:
        """Kill once at each instant that an undisturbed run meets, of those whose name
        is chosen, or at a share of them. A request that was on its way then landed, or
        never left, or lands after the first look for it."""
        every = list(self.run(case))
        for number in share_of(every, share):
            if at(every[number]):
                self._kill(case, number, every[number])

    def drawn_kills(self, case: Case, most: int, seed: int) -> None:
        """The same at so many of those instants that are no boundary, drawn with this
        seed; at all of them, if there are no more."""
        every = list(enumerate(list(self.run(case))))
        others = [it for it in every if it[1] not in BOUNDARIES]
        for number, name in random.Random(seed).sample(others, min(most, len(others))):
            self._kill(case, number, name)

    def _kill(self, case: Case, number: int, name: str) -> None:
        self.run(case, Schedule((number,)))
        if name.endswith(".send begins"):
            self.run(case, Schedule((number,), late=True))

    def drawn_pairs(self, case: Case, most: int, seed: int) -> None:
        """Kill at one instant, and again at one of those that the rest then meets: this
        many pairs, drawn with this seed."""
        chosen = random.Random(seed)
        firsts = len(self.run(case))
        met = cache(lambda first: len(self.run(case, Schedule((first,)))))
        for _ in range(most):
            first = chosen.randrange(firsts)
            second = chosen.randrange(first + 1, max(met(first), first + 2))
            late = chosen.random() < 0.3
            self.run(case, Schedule((first, second), late=late))

    def every_cancel(self, case: Case, share: int = 1) -> None:
        """Cancel once at each boundary, or at a share of them, from outside."""
        every = [name for name in self.run(case) if name in BOUNDARIES]
        for number in share_of(every, share):
            self.run(case, Schedule(cancel_at=number))

    def drawn_cancels_and_kills(self, case: Case, most: int, seed: int) -> None:
        """Cancel at a boundary, and kill before, there or after: this many, drawn with
        this seed."""
        chosen = random.Random(seed)
        cancels = boundaries(self.run(case))
        met = cache(lambda at: len(self.run(case, Schedule(cancel_at=at))))
        for _ in range(most):
            cancel_at = chosen.randrange(cancels)
            kill = chosen.randrange(met(cancel_at))
            late = chosen.random() < 0.3
            self.run(case, Schedule((kill,), cancel_at=cancel_at, late=late))

    def run(self, case: Case, befalls: Schedule = Schedule()) -> list[str]:  # noqa: B008
        """Run one schedule and check it; returns the instants that it met."""
        self.tried += 1
        self.driver.clear()
        ran = self.driver.run(lambda: self._ask(case), befalls)
        told = list(ran.changed)
        ends = {case.ends}
        ends |= {case.killed_ends} if befalls.kills and case.killed_ends else set()
        if befalls.cancel_at is not None:
            ends |= {"cancelled", case.cancelled_ends}
        for task in ran.asked:
            told += self._wrong_end(case, task, ends, may_hold=ran.in_doubt)
        told += self._wrong()
        if told:
            names = [f"{n}: {[*ran.met, 'never'][n]}" for n in befalls.kills]
            first = f"{case}: {befalls}, killed at {names}"
            raise AssertionError("\n".join([first, *told, *self.driver.story()]))
        return ran.met

    def _ask(self, case: Case) -> Iterator[Task]:
        for _ in range(case.roots):
            command = case.make(URL)
            yield transact(self.driver.engine, lambda tx, c=command: c.enqueue(tx))  # type: ignore[misc]

    def _wrong(self) -> list[str]:
        engine = self.driver.engine
        return [
            *self.driver.instants.violations,
            *invariants.broken(engine),
            *invariants.unended(engine),
            *self.driver.outside.broken(engine),
        ]

    def _wrong_end(
        self, case: Case, asked: Task, ends: Iterable[str], *, may_hold: bool
    ) -> Iterator[str]:
        every = self.driver.engine.read(
            lambda tx: [tasks.get(tx, asked.id), *tasks.descendants(tx, asked.id)]
        )
        root = every[0]
        held = [task for task in every if task.state == "held"]
        if held and not (case.may_hold and may_hold):
            yield f"nothing is held that can be found out: {held[0].message}"
        elif not held and str(root.outcome) not in ends:
            yield f"the right end: {root.outcome}, not {ends}"
        if root.outcome == case.ends and {task.command for task in every} != set(
            case.runs
        ):
            yield f"the plan is whole: {[task.command for task in every]}"
