"""An author's commands on their own fakes, inside the test's process: an engine whose
providers are the fakes, worked step by step."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from earmark.commands.onboarding import seal_all
from earmark.domain.command import Command, ExternalJob
from earmark.domain.connector import Connector
from earmark.domain.inventory import Provider
from earmark.domain.task import Task
from earmark.engine import describe, poll
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.store import inventory, tasks
from earmark.store.columns import metadata
from earmark.store.schema import placeholders as placeholder_table
from earmark.testing.rounds import hurry, perform_queued

#: Only so that what never ends is told before the test itself is ended.
_PATIENCE_SECONDS = 100.0


class World(Protocol):
    """A fake, as far as it is needed here."""

    @property
    def connector(self) -> Connector: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def secrets(self) -> Mapping[str, str]: ...


class AuthoredStage:
    """An engine with an author's commands, and a provider for each of their fakes."""

    def __init__(
        self, engine: Engine, modules: Sequence[str], worlds: Mapping[str, World]
    ) -> None:
        self.engine = engine
        self.names = tuple(worlds)
        for module in modules:
            engine.commands.register_module(module)
        for name, world in worlds.items():
            connector = _quick(world.connector)
            engine.connectors = {**engine.connectors, connector.kind: connector}
            self._add(name, connector.kind, world)

    def _add(self, name: str, kind: str, world: World) -> None:
        def add(tx: EngineTx) -> None:
            row = Provider(
                name,
                name,
                kind,
                "default",
                dict(world.settings),
                seal_all(tx, world.secrets),
            )
            inventory.add_provider(tx.store, row)

        transact(self.engine, add)

    def run(self, command: Command[Any]) -> Task:
        """Ask, work until it has ended, and return how."""
        task = self.ask(command)
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self.task(task.id).done:
            self.step()
            if time.monotonic() > end:
                stands = "\n".join(f"{t.title}: {t.state}" for t in self.tree(task))
                raise AssertionError(f"It does not end:\n{stands}")
        return self.task(task.id)

    def ask(self, command: Command[Any]) -> Task:
        return transact(self.engine, command.enqueue)

    def step(self) -> None:
        """Run what is queued, and ask every provider about what is under way."""
        self.perform()
        self.check()

    def perform(self) -> None:
        """Run what is queued."""
        perform_queued(self.engine, most=50)

    def check(self) -> None:
        """Ask every provider about what is under way, due or not."""
        hurry(self.engine)
        for name in self.names:
            poll.check_provider(self.engine, name)

    def task(self, task_id: str) -> Task:
        return self.engine.read(lambda tx: tasks.get(tx, task_id))

    def tree(self, root: Task) -> list[Task]:
        """The root and its children, in their order."""
        below = self.engine.read(lambda tx: tasks.children(tx, root.id))
        return [self.task(root.id), *below]

    def child(self, root: Task, key: str) -> Task:
        return next(task for task in self.tree(root) if task.key == key)

    def accepted(self, root: Task) -> list[tuple[Task, Any]]:
        """Every effect that a provider has accepted, with its task, in order."""

        def read(tx: Any) -> list[Any]:
            mine = placeholder_table.c.root_id == root.id
            bound = placeholder_table.c.external_id.is_not(None)
            sent = placeholder_table.c.first_sent_at
            found = sa.select(placeholder_table).where(mine, bound).order_by(sent)
            return list(tx.execute(found).all())

        return [(self.task(row.task_id), row) for row in self.engine.read(read)]

    def take_back(self, root: Task) -> list[Task]:
        """Undo every effect that there is, the last first; returns how that ended."""
        ended = []
        for task, effect in reversed(self.accepted(root)):
            command = describe.load(self.engine, task)
            assert isinstance(command, ExternalJob)
            back = self._undo_of(command, str(effect.external_id))
            if back is not None:
                ended.append(self.run(back))
        return ended

    def _undo_of(self, command: ExternalJob[Any], job: str) -> Command[Any] | None:
        return transact(self.engine, lambda tx: command.undo(tx, job))

    def everything(self) -> str:
        """Every row of every table, as text."""

        def read(tx: Any) -> str:
            rows = (tx.execute(sa.select(t)).all() for t in metadata.sorted_tables)
            return "\n".join(map(str, rows))

        return self.engine.read(read)


def _quick(connector: Connector) -> Connector:
    """The same promises, and nothing is on its way for long."""
    soon = timedelta(milliseconds=1)
    whole: Any = connector
    whole.operations = {
        name: replace(
            one,
            max_in_flight=soon,
            poll_seconds=0.01,
            visibility_lag=min(one.visibility_lag, soon),
        )
        for name, one in connector.operations.items()
    }
    return connector
