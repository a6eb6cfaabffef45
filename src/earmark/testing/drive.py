"""Drive one schedule to its end: by one worker after the other, in this very thread,
each as long as it lives. Nothing here waits: what is due later is due now."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import Rejected
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.boundary import Killed
from earmark.engine.cancel import cancel
from earmark.engine.poll import check_provider
from earmark.engine.runtime import Engine
from earmark.store import journal, tasks
from earmark.store.columns import metadata
from earmark.store.database import Transaction
from earmark.store.schema import placeholders, secrets, sends
from earmark.store.schema import tasks as task_table
from earmark.testing.instants import Instants
from earmark.testing.invariants import Finals
from earmark.testing.rounds import hurry, perform_queued
from earmark.testing.schedule import Schedule

_ROUNDS = 60
#: The house itself, which stays from one schedule to the next.
_KEPT = {"installation", "clock", "zones", "providers", "secrets"}
_FORGOTTEN = [
    table
    for table in reversed(metadata.sorted_tables)
    if table.name.removeprefix("earmark_") not in _KEPT
]
#: The names of those in which there is anything.
_FILLED: sa.CompoundSelect[Any] = sa.union_all(
    *(
        sa.select(sa.literal_column(f"'{table.name}'")).where(
            sa.exists(sa.select(sa.literal_column("1")).select_from(table))
        )
        for table in _FORGOTTEN
    )
)


class Outside:
    """What a schedule needs of the providers, inside the process."""

    #: Ids of the providers to be polled.
    ids: Sequence[str] = ()

    def fresh(self) -> None:
        """New sites, on which nothing has happened."""

    def lost(self, token: str, task: Task) -> bool:
        """The sender was killed with this request on its way: let it land late. False
        when it has landed already, or cannot be late."""
        return False

    def arrive(self) -> None:
        """All that is on its way arrives: the horizon passes."""

    def broken(self, engine: Engine) -> list[str]:
        """Violations that the providers' ledgers show."""
        return []


@dataclass(frozen=True, slots=True)
class Ran:
    """What a schedule came to: the roots, the instants that were met, whether a sender
    died with its request on its way, and what changed after its end."""

    asked: Sequence[Task]
    met: list[str]
    in_doubt: bool
    changed: list[str]


class Driver:
    """Runs schedules on one engine, one after the other. `patience`: after so many
    rounds in which nothing was claimed, nothing moves any more."""

    def __init__(
        self, engine: Engine, outside: Outside, instants: Instants, patience: int = 9
    ) -> None:
        self.engine = engine
        self.outside = outside
        self.instants = instants
        self._patience = patience
        self._worker = 0
        self._dead: list[str] = []

    def run(self, ask: Callable[[], Iterable[Task]], schedule: Schedule) -> Ran:
        """Ask, and drive what was asked for to its end."""
        asked: list[Task] = []
        deeds = {}
        if schedule.cancel_at is not None:
            deeds = {schedule.cancel_at: lambda: self._cancel(asked)}
        self.instants.begin(schedule.kills, deeds)
        asked.extend(ask())
        in_doubt, changed = self.drive(Finals(self.engine), late=schedule.late)
        return Ran(asked, self.instants.met, in_doubt, changed)

    def drive(self, finals: Finals, *, late: bool = False) -> tuple[bool, list[str]]:
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
            if number % 20 == 0:
                self._doubt_grows_old()
            if still > self._patience:
                break
        return in_doubt, told

    def clear(self) -> None:
        """Nothing was ever asked for, of us or of the providers."""
        self.forget()
        self.outside.fresh()

    def forget(self) -> None:
        """Nothing was ever asked for, of us."""

        def work(tx: Transaction) -> None:
            # Most are empty: one question about all is quicker than to clear each.
            filled = set(tx.execute(_FILLED).scalars())
            for table in _FORGOTTEN:
                if table.name in filled:
                    tx.execute(sa.delete(table))
            tx.execute(sa.delete(secrets).where(secrets.c.task_id.is_not(None)))

        self.engine.write(work)
        self._dead = []

    def let_time_pass(self) -> None:
        """Two hours go by: what was on its way has arrived, or never will."""
        self.outside.arrive()
        hours = timedelta(hours=2)

        def work(tx: Transaction) -> None:
            for row in tx.execute(sa.select(sends)).all():
                values = {"sent_at": row.sent_at - hours}
                if row.over_at is not None:
                    values["over_at"] = row.over_at - hours
                tx.execute(
                    sa.update(sends).where(sends.c.nonce == row.nonce).values(**values)
                )

        self.engine.write(work)

    def _doubt_grows_old(self) -> None:
        """What could not be found out for so long is a person's."""

        def work(tx: Transaction) -> None:
            doubtful = sa.select(placeholders).where(
                placeholders.c.doubt_since.is_not(None)
            )
            for row in tx.execute(doubtful).all():
                since = row.doubt_since - timedelta(hours=2)
                older = sa.update(placeholders).where(placeholders.c.id == row.id)
                tx.execute(older.values(doubt_since=since))

        self.engine.write(work)

    def story(self) -> Iterator[str]:
        """Every task, with its log."""
        every = self.engine.read(
            lambda tx: [tasks.from_row(row) for row in tx.execute(tasks.select_tasks())]
        )
        for task in every:
            yield f"{task.title}: {task.state} {task.outcome} {task.message}"
            lines = self.engine.read(lambda tx, one=task: journal.lines(tx, one.id))  # type: ignore[misc]
            yield from (f"    {line.at:%S.%f} {line.text}" for line in lines)

    def _cancel(self, asked: Iterable[Task]) -> None:
        for task in asked:
            with suppress(Rejected):
                cancel(self.engine, task.id, "somebody")

    def _work(self) -> bool:
        """One round of the worker that lives; True when something moved."""
        me = f"w-{self._worker}"
        hurry(self.engine)
        try:
            with self.instants.alive():
                claimed = perform_queued(self.engine, me)
                for provider in self._to_ask():
                    check_provider(self.engine, provider)
        except Killed:
            self._worker += 1
            self._dead.append(me)
            return True
        return bool(claimed)

    def _to_ask(self) -> list[str]:
        """The providers at which something is open. Asking about the others would be
        most of the work where a plan has several."""
        column = placeholders.c.provider_id
        with_any = sa.select(column).where(placeholders.c.next_check_at.is_not(None))
        rows = self.engine.read(lambda tx: tx.execute(with_any).all())
        some = {row.provider_id for row in rows}
        return [one for one in self.outside.ids if one in some]

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
                self.outside.lost(token, task)
        return bool(rows)

    def _ended(self) -> bool:
        rows = self.engine.read(
            lambda tx: tx.execute(
                sa.select(task_table.c.state).where(task_table.c.state != "done")
            ).all()
        )
        return all(row.state == "held" for row in rows)
