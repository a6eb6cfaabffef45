"""A real sender is stopped (SIGSTOP) in its send, others go on, it wakes up: for every
class of operation (rules 1, 3 and 5; invariants 2 and 4).

The provider is a scripted one over HTTP, since the lab has only two of the classes.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earmark.domain.inventory import Provider
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.engine.wait import wait
from earmark.store import inventory, placeholders, tasks
from earmark.testing import invariants
from tests.crash.provider import MakeListed, MakeNamed, MakeSo
from tests.engine.world import Make, MakeBlindly, MakeTagged
from tests.peers.lab import eventually
from tests.peers.scripted import (
    COMMANDS,
    CONNECTOR,
    KIND,
    ScriptedServer,
    installed,
    scripted_server,
)
from tests.peers.worker import WorkerProcess

PROVIDER = "p-1"
DEDUPLICATED = (Make, MakeNamed)


class Place:
    """The scripted provider, and workers that come and go."""

    def __init__(
        self, engine: Engine, settings: Settings, server: ScriptedServer, log: Path
    ) -> None:
        self.engine = engine
        self.settings = settings.model_copy(update={"commands": COMMANDS})
        self.ledger = server.ledger
        self.log = log
        self.finals = invariants.Finals(engine)
        self.workers: list[WorkerProcess] = []
        engine.connectors = {**engine.connectors, KIND: CONNECTOR}
        for module in COMMANDS:
            engine.commands.register_module(module)
        row = Provider(PROVIDER, "scripted", KIND, "default", {"url": server.url})
        engine.write(lambda tx: inventory.add_provider(tx, row))

    def worker(self, **options: Any) -> WorkerProcess:
        """Start one, and wait until it is registered."""
        process = WorkerProcess(self.settings, self.log, **options)
        self.workers.append(process)
        process.ready()
        return process

    def asleep(self, kind: type[Make], at: str) -> tuple[Task, WorkerProcess]:
        """Ask, and stop the one worker at a boundary of its send."""
        task = transact(
            self.engine, lambda tx: kind(provider=PROVIDER, what="a").enqueue(tx)
        )
        worker = self.worker(stop_at=at, slots=1, beat_seconds=60)
        eventually(worker.stopped, f"the worker stops at {at}", seconds=30)
        return task, worker

    def end_of(self, task: Task) -> Task:
        """The task once it is done or held, with no invariant broken."""
        ended = wait(self.engine, task.id, 45)
        assert ended.done or ended.state == "held", (ended, self.log.read_text())
        assert self.finals.look() == []
        return ended

    def task(self, task: Task) -> Task:
        """The task as it is now."""
        return self.engine.read(lambda tx: tasks.get(tx, task.id))

    def evidence(self, task: Task, kind: str) -> list[Any]:
        """What was seen of its effect, of one kind."""

        def look(tx: Any) -> list[Any]:
            effect = placeholders.of_task(tx, task.id)
            seen = placeholders.evidence_of(tx, effect.id) if effect else []
            return [row for row in seen if row.kind == kind]

        return self.engine.read(look)

    def assert_right(self, task: Task) -> Task:
        """It ends as it must, with one effect, and nothing is broken."""
        ended = self.end_of(task)
        wrong = [
            *invariants.broken(self.engine),
            *invariants.broken_at_provider(self.engine, self.ledger.counted()),
            *self.ledger.violations,
        ]
        assert wrong == []
        assert len(self.ledger.effects) == 1
        return ended


@pytest.fixture
def place(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    package = installed(tmp_path / "site-packages")
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    with scripted_server() as server:
        built = Place(engine, settings, server, tmp_path / "workers.log")
        yield built
        for worker in built.workers:
            worker.__exit__(None, None, None)


def class_of(kind: type[Make]) -> str:
    return kind.operation


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [Make, MakeNamed, MakeTagged, MakeSo, MakeListed, MakeBlindly],
    ids=class_of,
)
def test_woken_with_its_request_in_hand(place: Place, kind: type[Make]) -> None:
    """Others may go on only where the provider deduplicates; then it lets it out."""
    task, asleep = place.asleep(kind, "send.committed")
    place.worker()
    if kind in DEDUPLICATED:
        assert place.end_of(task).outcome == "ok"
    else:
        unsent = eventually(lambda: place.evidence(task, "doubt"), "it is in doubt")
        assert unsent
        assert place.ledger.effects == []
    if kind is MakeBlindly:
        assert place.end_of(task).state == "held", "held, not guessed"
    asleep.signal(signal.SIGCONT)
    eventually(lambda: place.evidence(task, "late"), "its late word is kept")
    # Its own answer is proof, also for what nobody could be asked about.
    eventually(lambda: place.task(task).done, "it ends", seconds=45)
    assert place.assert_right(task).outcome == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MakeTagged, MakeBlindly], ids=class_of)
def test_woken_with_its_answer_in_hand(place: Place, kind: type[Make]) -> None:
    """What it did is found by others where it can be; its own word is evidence."""
    task, asleep = place.asleep(kind, "send.answered")
    place.worker()
    found = place.end_of(task)
    assert (found.state == "held") is (kind is MakeBlindly)
    asleep.signal(signal.SIGCONT)
    (late,) = eventually(lambda: place.evidence(task, "late"), "its late word is kept")
    assert late.external_id
    eventually(lambda: place.task(task).done, "it ends", seconds=45)
    assert place.assert_right(task).outcome == "ok"
    assert [what for what, _ in place.ledger.journal].count("send") == 1
