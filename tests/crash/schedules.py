"""The product's own schedules: a command, the instants at which its workers are killed,
and how it must end. Every invariant is looked at on the way."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from earmark.domain.command import Command
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.store import tasks
from earmark.testing import invariants, schedule
from earmark.testing.drive import Driver
from earmark.testing.schedule import Schedule

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
        self, case: Case, at: Callable[[str], bool] = lambda name: True
    ) -> None:
        """See `earmark.testing.schedule`, as for those below."""
        schedule.every_kill(self._of(case), at)

    def drawn_pairs(self, case: Case, most: int, seed: int) -> None:
        schedule.drawn_pairs(self._of(case), most, seed)

    def every_cancel(self, case: Case) -> None:
        schedule.every_cancel(self._of(case))

    def drawn_cancels_and_kills(self, case: Case, most: int, seed: int) -> None:
        schedule.drawn_cancels_and_kills(self._of(case), most, seed)

    def _of(self, case: Case) -> schedule.Run:
        return lambda one: self.run(case, one)

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
