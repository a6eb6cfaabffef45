"""A web process whose work is counted, and a crowd that waits at it for tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import sqlalchemy as sa

from earmark.domain.ids import new_id
from earmark.domain.settings import Settings
from earmark.domain.states import TaskState
from earmark.engine.runtime import Engine
from earmark.store import tasks, workers
from earmark.store.database import Transaction
from earmark.store.identity import own_identity
from earmark.store.schema import tasks as task_table
from earmark.store.wakeups import Topic
from earmark.worker.heartbeat import Heartbeat
from earmark.worker.looper import Looper
from tests.peers import counted

CHUNK = 1_000


class CountedWeb:
    """`earmark web` as a process of its own, with what it costs."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._count = folder / "statements"
        self._count.write_bytes(counted.NUMBER.pack(0))
        self._log = (folder / "web.log").open("ab")
        environment = {
            **os.environ,
            "EARMARK_DATABASE_URL": settings.database_url,
            "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
        }
        words = [sys.executable, "-m", "tests.peers.counted", str(self._count)]
        self._process = subprocess.Popen(
            [*words, "web", "--bind", "127.0.0.1:0"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().strip()
        assert " ready " in said, f"{said!r}; see {self._log.name}"
        self.port = int(said.rpartition(":")[2])
        self.process = psutil.Process(self._process.pid)

    def cost(self) -> Cost:
        """What it has cost until now."""
        used = self.process.cpu_times()
        return Cost(
            at=time.monotonic(),
            cpu=used.user + used.system,
            statements=counted.read(self._count),
            rss=self.process.memory_info().rss,
        )

    def end(self) -> float:
        """SIGTERM it; returns how many seconds its end took."""
        began = time.monotonic()
        self._process.terminate()
        self._process.wait(20)
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


@dataclass(frozen=True)
class Cost:
    """What a process has used: seconds of CPU, statements, bytes of memory."""

    at: float
    cpu: float
    statements: int
    rss: int

    def share(self, before: Cost) -> float:
        """Of one core, since then."""
        return (self.cpu - before.cpu) / (self.at - before.at)

    def statements_a_second(self, before: Cost) -> float:
        """Since then."""
        return (self.statements - before.statements) / (self.at - before.at)


class Crowd:
    """A process with many clients; see `tests.peers.crowd`."""

    def __init__(self, mode: str, port: int, paths: Sequence[str]) -> None:
        words = [sys.executable, "-m", "tests.peers.crowd", mode, str(port)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._to.write("".join(f"{path}\n" for path in paths) + "\n")
        self._to.flush()

    def ready(self) -> None:
        """Wait until every client has been answered once."""
        assert self._from.readline() == "ready\n"

    def stop(self) -> Seen:
        """End it; returns what it saw."""
        self._to.write("stop\n")
        self._to.flush()
        told: dict[str, Any] = json.loads(self._from.readline())
        self._process.wait(20)
        marks = {int(mark): at for mark, at in told.pop("marks").items()}
        return Seen(marks=marks, **told)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        self._to.close()
        self._from.close()


@dataclass(frozen=True)
class Seen:
    """When the clients first saw each mark; when each answer came, after how long."""

    marks: dict[int, list[float]] = field(repr=False)
    took: list[tuple[float, float]] = field(repr=False)
    bytes: int
    lost: int

    def told_after(self, commits: dict[int, float]) -> list[float]:
        """Seconds from each commit to each client that saw it, in order."""
        return sorted(
            at - commits[mark]
            for mark, moments in self.marks.items()
            if mark in commits
            for at in moments
        )


def share_of(values: Sequence[float], part: float) -> float:
    """The value below which that part of the sorted ones is."""
    return values[min(int(len(values) * part), len(values) - 1)] if values else 0.0


@contextmanager
def living_worker(engine: Engine) -> Iterator[str]:
    """The id of a worker that only lives: it beats, in this process. A real one would
    let go of tasks in its name that it does not work on."""
    worker = new_id()
    knows = [list(pair) for pair in engine.commands.pairs()]
    facts = {"id": worker, "zone": "default", "roles": ["*"], "commands": knows}
    values = {**facts, "slots": 1, **asdict(own_identity())}
    engine.write(lambda tx: workers.register(tx, values))
    beats = Looper("beats", Heartbeat(engine, worker, 0.5, lambda: None).round)
    beats.start()
    try:
        yield worker
    finally:
        beats.stop()
        beats.join(10)


def write_running(engine: Engine, worker: str, count: int) -> list[str]:
    """So many tasks that a worker carries out; returns their ids."""
    made: list[str] = []
    for first in range(0, count, CHUNK):
        number = min(CHUNK, count - first)
        made += engine.write(partial(_insert, worker=worker, count=number))
    return made


def _insert(tx: Transaction, worker: str, count: int, title: str = "") -> list[str]:
    ids = [new_id() for _ in range(count)]
    # Not silent for so long that a page would have to say so.
    lately = tx.now + timedelta(hours=1)
    row = {
        "parent_id": None, "key": "", "command": "PowerOff", "command_version": 1,
        "params": {"vm": "vm-1"}, "object_kind": "vm", "object_id": "vm-1",
        "title": title or "Power off vm-1", "owner": "local", "zone": "default",
        "role": "operations", "priority": 100, "weight": 1, "pending": 0,
        "state": TaskState.RUNNING, "attempt": 1, "worker_id": worker,
        "started_at": tx.now, "updated_at": lately, "message": "Under way.",
    }  # fmt: skip
    tasks.insert(tx, [row | {"id": one, "root_id": one} for one in ids])
    return ids


def change(engine: Engine, worker: str, task_id: str, mark: int) -> float:
    """One task says something else and one is new, both with the mark: that concerns
    who waits for the first, and every page. Returns when it was committed."""

    def work(tx: Transaction) -> None:
        says = sa.update(task_table).where(task_table.c.id == task_id)
        version = task_table.c.version + 1
        tx.execute(says.values(message=f"mark-{mark:06}", version=version))
        _insert(tx, worker, 1, f"mark-{mark:06}")
        tx.wake(Topic.CHANGES)

    engine.write(work)
    return time.monotonic()
