"""How long a queued task waits for an idle worker, beside a plain commit of the same
database in the same run: absolute times are noise on shared machines, ratios are not.
"""

import statistics
import time
from pathlib import Path

import psutil
import pytest

from earmark.domain.settings import Settings
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.store import journal, tasks
from tests.commands import Noop
from tests.peers.worker import WorkerProcess

ROUNDS = 40
IDLE_SECONDS = 5.0
#: Generous: a pickup is a wake-up (SQLite looks every 20 ms) and a few transactions.
MOST_SECONDS = 0.5
MOST_IDLE_CPU = 0.15


def plain_commit(engine: Engine) -> float:
    """Seconds for a transaction that writes one row."""
    began = time.perf_counter()
    engine.write(lambda tx: journal.note(tx, "test", "measure", None))
    return time.perf_counter() - began


def pickup(engine: Engine) -> float:
    """Seconds from the commit of a task until others see it claimed."""
    task = transact(engine, lambda tx: Noop().enqueue(tx))
    committed = time.perf_counter()
    while engine.read(lambda tx: tasks.get(tx, task.id)).state == "queued":
        time.sleep(0.0005)  # a look every half millisecond is the measurement
    return time.perf_counter() - committed


@pytest.mark.slow
def test_pickup_on_an_idle_worker(
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.commands = ("tests.commands",)
    engine.commands.register_module("tests.commands")
    with WorkerProcess(settings, tmp_path / "worker.log") as worker:
        worker.ready()
        pickup(engine)
        commits = [plain_commit(engine) for _ in range(ROUNDS)]
        pickups = [pickup(engine) for _ in range(ROUNDS)]
        process = psutil.Process(worker.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)  # what is measured is that nothing happens
        idle = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS
    commit, median = statistics.median(commits), statistics.median(pickups)
    worst = sorted(pickups)[int(ROUNDS * 0.95)]
    with capsys.disabled():
        print(
            f"\n{engine.database.url.drivername}: pickup median {median * 1e3:.1f} ms, "
            f"p95 {worst * 1e3:.1f} ms; plain commit {commit * 1e3:.2f} ms; "
            f"ratio {median / commit:.1f}; idle worker CPU {idle:.1%}"
        )
    assert median < MOST_SECONDS
    assert idle < MOST_IDLE_CPU
