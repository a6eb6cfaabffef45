"""Bench: an engine for one test of an author's, worked in the test's own thread. What
the fixture `earmark` is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.command import Command
from earmark.domain.errors import BadInput
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.boundary import BOUNDARIES, Killed, watched
from earmark.engine.enqueue import transact
from earmark.engine.expire import expire
from earmark.engine.poll import check_provider
from earmark.engine.runtime import Engine
from earmark.store import placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.schema import tasks as table
from earmark.testing.checks import Aftermath
from earmark.testing.clock import Clock
from earmark.testing.edge import Edge
from earmark.testing.house import add_world, open_house
from earmark.testing.instants import instants_of
from earmark.testing.rounds import perform_queued
from earmark.testing.wire import Wire
from earmark.testing.world import Effect, World

_MOST_ROUNDS = 1000
_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(minutes=1)


class Bench:
    """An engine on a fresh SQLite; `engine` is there for what this has no word for.

    Nothing waits: when there is nothing to do, `clock` goes on to when there is.
    """

    def __init__(self, engine: Engine, wire: Wire, edge: Edge) -> None:
        self.engine = engine
        self.clock = Clock(engine)
        self._wire = wire
        self._edge = edge
        self._worker = 0

    def add(self, world: World, name: str = "world") -> None:
        """Make a world a provider of that name."""
        connector = self._wire.add(name, world, hurried=False)
        add_world(self.engine, name, world, connector)

    def ask(self, command: Command[Any], **options: Any) -> Task:
        """Queue a command; raises what its `check` raises."""
        self._edge.know(type(command))
        return transact(self.engine, lambda tx: command.enqueue(tx, **options))

    def run(self, command: Command[Any]) -> Task:
        """Queue a command, work, and return its task: ended, or held."""
        task = self.ask(command)
        self.work()
        return self.task(task)

    def task(self, task: Task) -> Task:
        """The task as it is now."""
        return self.engine.read(lambda tx: tasks.get(tx, task.id))

    def work(self) -> None:
        """Work until every task has ended, is held, or waits for nothing that time
        brings. Raises `AssertionError` when that takes too many rounds."""
        step = _SHORTEST
        for _ in range(_MOST_ROUNDS):
            if self._round():
                step = _SHORTEST
                continue
            due = self.engine.read(self._due)
            if due is None:
                return
            # A job that goes on and on is asked less and less often.
            self.clock.reach(max(due, self.clock.now + step))
            step = min(2 * step, _LONGEST)
        raise AssertionError(f"after {_MOST_ROUNDS} rounds something still goes on")

    def effects(self, task: Task) -> list[Effect]:
        """What the task and its children have made in the worlds, gone or not."""
        made = Aftermath(self.engine, self._wire, [task]).made.values()
        return [one.effect for some in made for one in some]

    def log(self, task: Task) -> list[str]:
        """The lines of the task's log and of its children's, in the order of time."""
        return Aftermath(self.engine, self._wire, [task]).story()

    @contextmanager
    def crash_at(self, boundary: str) -> Iterator[None]:
        """Inside, the worker dies when it comes to this boundary; `boundary:3` is the
        third time. Another one goes on then. Raises `BadInput` for no boundary's name,
        `AssertionError` when no worker came there."""
        name, _, turn = boundary.partition(":")
        if name not in BOUNDARIES or not (turn or "1").isdigit():
            raise BadInput(
                f"There is no boundary {boundary!r}.",
                hint=f"There are: {', '.join(BOUNDARIES)}.",
            )
        left = int(turn or 1)

        def meet(here: str) -> None:
            nonlocal left
            if here == name:
                left -= 1
                if left == 0:
                    raise Killed(name)

        with watched(meet):
            yield
        if left > 0:
            raise AssertionError(f"no worker came to {boundary}: {left} times short")

    def _round(self) -> bool:
        """One round of a worker; True when more happened than that jobs went on."""
        me = f"w-{self._worker}"
        try:
            claimed = perform_queued(self.engine, me)
            for provider in self._wire.ids:
                check_provider(self.engine, provider)
            return bool(expire(self.engine) or claimed)
        except Killed as killed:
            self._worker += 1
            recover.worker_gone(self.engine, me, f"it was killed at {killed}")
            return True

    def _due(self, tx: Transaction) -> datetime | None:
        """When there is something to do again."""
        known = self.engine.commands.pairs()
        when = [placeholders.next_due(tx, one, known) for one in self._wire.ids]
        at = sa.func.min(sa.func.coalesce(table.c.run_after, table.c.created_at))
        queued = sa.select(at).where(table.c.state == "queued")
        when.append(tx.execute(queued).scalar_one())
        return min((at for at in when if at is not None), default=None)


@contextmanager
def open_bench() -> Iterator[Bench]:
    """A bench that is gone when it is left."""
    with open_house() as engine:
        wire = Wire()
        edge = Edge(engine, wire)
        with instants_of(engine, (), edge.between) as instants:
            edge.watch(instants)
            yield Bench(engine, wire, edge)
