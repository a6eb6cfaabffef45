"""One schedule: a command, the instants at which its workers are killed, and what the
provider did with what was on its way. It is driven to its end by one worker after the
other, and every invariant is looked at on the way."""

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.command import Command
from earmark.domain.errors import Rejected
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.boundary import Killed
from earmark.engine.cancel import cancel
from earmark.engine.claim import claim
from earmark.engine.enqueue import transact
from earmark.engine.perform import perform
from earmark.engine.poll import check_provider
from earmark.engine.runtime import Engine
from earmark.store import journal, queue, tasks
from earmark.store.columns import metadata
from earmark.store.database import Transaction
from earmark.store.schema import placeholders, secrets, sends
from earmark.store.schema import tasks as task_table
from tests import invariants
from tests.crash.instants import Instants, boundaries

_ROUNDS = 60
#: The house itself, which stays from one schedule to the next.
_KEPT = {"installation", "clock", "zones", "providers", "secrets"}


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


class Provider:
    """What a schedule needs of a provider inside the process."""

    #: Ids of the providers to be polled.
    ids: Sequence[str] = ()
    url = "http://lab.test"

    def fresh(self) -> None:
        """A new site, on which nothing has happened."""

    def lost(self, token: str, task: Task) -> bool:
        """The sender was killed with this request on its way: let it land late. False
        when it has landed already, or cannot be late."""
        return False

    def arrive(self) -> None:
        """All that is on its way arrives: the horizon passes."""

    def broken(self, engine: Engine) -> list[str]:
        """Violations that the provider's ledger shows."""
        return []


@dataclass
class Schedules:
    """Every schedule of one engine and one provider; counts those that were tried."""

    engine: Engine
    provider: Provider
    instants: Instants
    tried: int = 0
    _worker: int = 0
    _dead: list[str] = field(default_factory=list)

    def every_kill(
        self, case: Case, at: Callable[[str], bool] = lambda name: True
    ) -> None:
        """Kill once at each instant that an undisturbed run meets, of those whose name
        is chosen. A request that was on its way then landed, or never left, or lands
        after the first look for it."""
        for number, name in enumerate(list(self.run(case))):
            if at(name):
                self.run(case, (number,))
                if name.endswith(".send begins"):
                    self.run(case, (number,), late=True)

    def drawn_pairs(self, case: Case, most: int, seed: int) -> None:
        """Kill at one instant, and again at one of those that the rest then meets: this
        many pairs, drawn with this seed."""
        chosen = random.Random(seed)
        firsts = len(self.run(case))
        met = functools.cache(lambda first: len(self.run(case, (first,))))
        for _ in range(most):
            first = chosen.randrange(firsts)
            second = chosen.randrange(first + 1, max(met(first), first + 2))
            self.run(case, (first, second), late=chosen.random() < 0.3)

    def every_cancel(self, case: Case) -> None:
        """Cancel once at each boundary, from outside."""
        for number in range(boundaries(self.run(case))):
            self.run(case, cancel_at=number)

    def drawn_cancels_and_kills(self, case: Case, most: int, seed: int) -> None:
        """Cancel at a boundary, and kill before, there or after: this many, drawn with
        this seed."""
        chosen = random.Random(seed)
        cancels = boundaries(self.run(case))
        met = functools.cache(lambda at: len(self.run(case, cancel_at=at)))
        for _ in range(most):
            cancel_at = chosen.randrange(cancels)
            kill = chosen.randrange(met(cancel_at))
            late = chosen.random() < 0.3
            self.run(case, (kill,), cancel_at=cancel_at, late=late)

    def run(
        self,
        case: Case,
        kills: Iterable[int] = (),
        *,
        late: bool = False,
        cancel_at: int | None = None,
    ) -> list[str]:
        """Run one schedule and check it; returns the instants that it met. Kills are
        told by the number of the instant, a cancel by the number of the boundary: only
        there is no transaction open."""
        kills = tuple(kills)
        self.tried += 1
        self.clear()
        asked: list[Task] = []
        deeds = {} if cancel_at is None else {cancel_at: lambda: self._cancel(asked)}
        self.instants.begin(kills, deeds)
        for _ in range(case.roots):
            command = case.make(self.provider.url)
            asked.append(transact(self.engine, lambda tx, c=command: c.enqueue(tx)))  # type: ignore[misc]
        in_doubt, told = self.drive(invariants.Finals(self.engine), late=late)
        ends = {case.ends}
        ends |= {case.killed_ends} if kills and case.killed_ends else set()
        ends |= set() if cancel_at is None else {"cancelled", case.cancelled_ends}
        for task in asked:
            told += self._wrong_end(case, task, ends, may_hold=in_doubt)
        told += self._wrong()
        if told:
            first = f"{case}, killed at {self._names(kills)}"
            if cancel_at is not None:
                first += f", cancelled at boundary {cancel_at}"
            if late:
                first += ", and its requests land late"
            raise AssertionError("\n".join([first, *told, *self._story()]))
        return self.instants.met

    def _cancel(self, asked: Iterable[Task]) -> None:
        for task in asked:
            with suppress(Rejected):
                cancel(self.engine, task.id, "somebody")

    def _names(self, numbers: Iterable[int]) -> list[str]:
        met = self.instants.met
        return [f"{n}: {met[n] if n < len(met) else 'never'}" for n in numbers]

    def drive(
        self, finals: invariants.Finals, *, late: bool = False
    ) -> tuple[bool, list[str]]:
        """Work until all has ended or nothing moves any more, not even by time. Returns
        whether a sender died with its request on its way, and what changed after its
        end."""
        told: list[str] = []
        still, in_doubt = 0, False
        for number in range(1, _ROUNDS):
            moved = self._work()
            if self._dead:
                in_doubt |= self._lost(late)
                self._bury()
            told += finals.look()
            if self._ended():
                break
            still = 0 if moved else still + 1
            # Also for what is sent again and again: that is what its time is for.
            if (still % 3 == 0 and still) or number % 6 == 0:
                self.let_time_pass()
            if still > 9:
                break
        return in_doubt, told

    def _work(self) -> bool:
        """One round of the worker that lives; True when something moved."""
        me = f"w-{self._worker}"
        self._hurry()
        try:
            with self.instants.alive():
                claimed = claim(self.engine, self._appetite(), me, 10)
                for task in claimed:
                    perform(self.engine, task)
                for provider in self.provider.ids:
                    check_provider(self.engine, provider)
        except Killed:
            self._worker += 1
            self._dead.append(me)
            return True
        return bool(claimed)

    def _bury(self) -> None:
        """Another worker notes the death, and may itself be killed in doing so."""
        while self._dead:
            me = f"w-{self._worker}"
            try:
                with self.instants.alive():
                    recover.worker_gone(self.engine, self._dead[-1], "it was killed")
            except Killed:
                self._worker += 1
                self._dead.append(me)
            else:
                self._dead.pop()

    def _lost(self, late: bool) -> bool:
        """The dead worker's requests on their way; True when there is one."""
        rows = self.engine.read(
            lambda tx: [
                (row.id, tasks.get(tx, row.task_id))
                for row in tx.execute(
                    sa.select(placeholders).where(placeholders.c.state == "sending")
                )
            ]
        )
        for token, task in rows:
            if late:
                self.provider.lost(token, task)
        return bool(rows)

    def _appetite(self) -> queue.Appetite:
        return queue.Appetite("default", ("*",), self.engine.commands.pairs())

    def _ended(self) -> bool:
        rows = self.engine.read(
            lambda tx: tx.execute(
                sa.select(task_table.c.state).where(task_table.c.state != "done")
            ).all()
        )
        return all(row.state == "held" for row in rows)

    def _hurry(self) -> None:
        """Whatever waits for its time is due now."""

        def work(tx: Transaction) -> None:
            due = sa.update(placeholders).where(placeholders.c.next_check_at > tx.now)
            tx.execute(due.values(next_check_at=tx.now))
            later = sa.update(task_table).where(
                task_table.c.state == "queued", task_table.c.run_after > tx.now
            )
            tx.execute(later.values(run_after=tx.now))

        self.engine.write(work)

    def let_time_pass(self) -> None:
        """Two hours go by: what was on its way has arrived, or never will."""
        self.provider.arrive()
        hours = timedelta(hours=2)

        def work(tx: Transaction) -> None:
            for row in tx.execute(sa.select(sends)).all():
                values = {"sent_at": row.sent_at - hours}
                if row.over_at is not None:
                    values["over_at"] = row.over_at - hours
                tx.execute(
                    sa.update(sends).where(sends.c.nonce == row.nonce).values(**values)
                )
            for row in tx.execute(sa.select(placeholders)).all():
                if row.doubt_since is not None:
                    since = {"doubt_since": row.doubt_since - hours}
                    changed = sa.update(placeholders).where(placeholders.c.id == row.id)
                    tx.execute(changed.values(**since))

        self.engine.write(work)

    def clear(self) -> None:
        """Nothing was ever asked for, of us or of the provider."""

        def work(tx: Transaction) -> None:
            for table in reversed(metadata.sorted_tables):
                if table.name.removeprefix("earmark_") not in _KEPT:
                    tx.execute(sa.delete(table))
            tx.execute(sa.delete(secrets).where(secrets.c.task_id.is_not(None)))

        self.engine.write(work)
        self._dead = []
        self.provider.fresh()

    def _wrong(self) -> list[str]:
        return [
            *self.instants.violations,
            *invariants.broken(self.engine),
            *invariants.unended(self.engine),
            *self.provider.broken(self.engine),
        ]

    def _wrong_end(
        self, case: Case, asked: Task, ends: Iterable[str], *, may_hold: bool
    ) -> Iterator[str]:
        every = self.engine.read(
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

    def _story(self) -> Iterator[str]:
        every = self.engine.read(
            lambda tx: [tasks.from_row(row) for row in tx.execute(tasks.select_tasks())]
        )
        for task in every:
            yield f"{task.title}: {task.state} {task.outcome} {task.message}"
            lines = self.engine.read(lambda tx, one=task: journal.lines(tx, one.id))  # type: ignore[misc]
            yield from (f"    {line.at:%S.%f} {line.text}" for line in lines)
