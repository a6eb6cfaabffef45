"""The house under test: an engine to ask with, a lab as its provider, real workers."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from earmark.commands.onboarding import add_provider, seal_all
from earmark.domain.command import Command
from earmark.domain.inventory import Listing, Vm
from earmark.domain.settings import Settings
from earmark.domain.states import OPEN_AT_PROVIDER
from earmark.domain.task import Placeholder, Task
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.engine.wait import wait
from earmark.providers.lab import CONNECTOR
from earmark.store import inventory, journal, placeholders, tasks
from earmark.store.schema import locks, secrets
from earmark.store.schema import placeholders as placeholder_table
from earmark.store.schema import tasks as task_table
from tests.peers.lab import LabProcess
from tests.peers.worker import WorkerProcess

PASSWORD = "lab-password"


class House:
    """What the acceptance tests work with."""

    def __init__(
        self, engine: Engine, settings: Settings, lab: LabProcess, log: Path
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.lab = lab
        self.log = log
        self._workers: list[WorkerProcess] = []

    def add_lab(self) -> None:
        """Make the lab a provider and take over its listing, with no task left."""

        def work(tx: Any) -> None:
            provider = add_provider(
                tx,
                name="lab",
                kind="lab",
                zone="default",
                settings={"url": self.lab.url},
                secret_ids=seal_all(tx, {"password": PASSWORD}),
            )
            tx.store.execute(sa.text("DELETE FROM earmark_task_log"))
            tx.store.execute(sa.text("DELETE FROM earmark_tasks"))
            tx.apply_listing(provider.id, self._listing(provider.settings), tx.now)

        transact(self.engine, work)
        self.lab.clear_ledger()

    def _listing(self, settings: Any) -> Listing:
        from earmark.domain.capabilities import InventorySource
        from earmark.domain.connector import ProviderConfig, settings_of
        from earmark.domain.deadline import Deadline

        config = ProviderConfig(
            settings_of(CONNECTOR, settings), {"password": PASSWORD}
        )
        session = CONNECTOR.open(config)
        try:
            return session.capability(InventorySource, Deadline(10)).list_all()
        finally:
            session.close()

    def worker(self, **options: Any) -> WorkerProcess:
        """Start a worker process and wait until it is registered."""
        process = WorkerProcess(self.settings, self.log, **options)
        self._workers.append(process)
        process.ready()
        return process

    def ask(self, command: Command[Any]) -> Task:
        """Queue a command."""
        return transact(self.engine, lambda tx: command.enqueue(tx))

    def end_of(self, task: Task, seconds: float = 45) -> Task:
        """The task once it is done (or held); fails with its log when it is not."""
        ended = wait(self.engine, task.id, seconds)
        assert ended.done or ended.state == "held", self.story(task)
        return ended

    def vm(self, name: str) -> Vm:
        """A VM as our inventory has it."""
        return self.engine.read(lambda tx: inventory.vm(tx, name))

    def effect_of(self, task: Task) -> Placeholder:
        """The task's placeholder."""
        found = self.engine.read(lambda tx: placeholders.of_task(tx, task.id))
        assert found is not None
        return found

    def family(self, task: Task) -> list[Task]:
        """The task and its descendants."""
        return self.engine.read(
            lambda tx: [tasks.get(tx, task.id), *tasks.descendants(tx, task.id)]
        )

    def story(self, task: Task) -> str:
        """Every log line of the task and its descendants, for a failing test."""
        lines = []
        for one in self.family(task):
            lines.append(f"{one.title}: {one.state} {one.outcome} {one.message}")
            log = self.engine.read(lambda tx, one=one: journal.lines(tx, one.id))  # type: ignore[misc]
            lines += [f"    {line.at:%S.%f} {line.text}" for line in log]
        return "\n".join([*lines, self.log.read_text()[-3000:]])

    def assert_settled(self, task: Task) -> None:
        """Nothing is left open: no effect, no lock, no secret, no unfinished task."""

        def leftovers(tx: Any) -> list[Any]:
            return [
                *tx.execute(sa.select(locks)),
                *tx.execute(sa.select(secrets).where(secrets.c.task_id.is_not(None))),
                *tx.execute(
                    sa.select(placeholder_table).where(
                        placeholder_table.c.state.in_(OPEN_AT_PROVIDER)
                    )
                ),
                *tx.execute(sa.select(task_table).where(task_table.c.state != "done")),
            ]

        assert self.engine.read(leftovers) == [], self.story(task)

    def assert_one_effect_each(self, task: Task) -> None:
        """Every promised effect happened exactly once at the provider, and whatever
        was sent again was asked about before (invariant 4)."""
        promised = {
            self.effect_of(one).id
            for one in self.family(task)
            if self.engine.read(lambda tx, one=one: placeholders.of_task(tx, one.id))  # type: ignore[misc]
        }
        done = Counter(effect["token"] for effect in self.lab.effects())
        assert done == dict.fromkeys(promised, 1), self.story(task)
        for token in promised:
            self._assert_asked_between(token, self.story(task))

    def _assert_asked_between(self, token: str, story: str) -> None:
        sent = [
            entry
            for entry in self.lab.ledger()["requests"]
            if entry["token"] == token and entry["method"] != "GET"
        ]
        for earlier, later in pairwise(sent):
            between = [
                entry
                for entry in self.lab.ledger()["requests"]
                if earlier["seq"] < entry["seq"] < later["seq"]
                and entry["method"] == "GET"
            ]
            assert between, f"sent again unasked: {earlier} {later}\n{story}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._workers:
            process.__exit__(None, None, None)
