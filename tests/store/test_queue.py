"""The queue: never twice, never lost, by priority then age (invariant 2)."""

import multiprocessing
from collections import Counter
from datetime import timedelta
from multiprocessing.pool import Pool

import pytest

from earmark.domain.ids import new_id
from earmark.domain.states import TaskState
from earmark.engine.runtime import Engine
from earmark.store import queue, tasks
from earmark.store.database import Database, Transaction

KNOWN = (("Noop", 1),)
APPETITE = queue.Appetite("default", ("*",), KNOWN)


def row(**values: object) -> dict[str, object]:
    task_id = new_id()
    return {
        "id": task_id, "root_id": task_id, "parent_id": None, "key": "",
        "command": "Noop", "command_version": 1, "params": {}, "title": "noop",
        "object_kind": None, "object_id": None, "provider_id": None,
        "owner": "local", "zone": "default", "role": "operations", "priority": 100,
        "weight": 1, "state": TaskState.QUEUED, "pending": 0,
    } | values  # fmt: skip


def put(engine: Engine, *rows: dict[str, object]) -> list[str]:
    engine.write(lambda tx: tasks.insert(tx, rows))
    return [str(r["id"]) for r in rows]


def take(tx: Transaction, worker: str, limit: int) -> list[str]:
    deadline = tx.now + timedelta(minutes=1)
    return [t.id for t in queue.claim(tx, APPETITE, worker, limit, deadline)]


def test_by_priority_then_age(engine: Engine) -> None:
    ids = put(engine, row(), row(priority=200), row(priority=10), row())
    taken = engine.write(lambda tx: take(tx, "w", 10))
    assert taken == [ids[2], ids[0], ids[3], ids[1]]


@pytest.mark.parametrize(
    "other",
    [{"zone": "east"}, {"command": "Unknown"}, {"command_version": 2},
     {"state": TaskState.WAITING}],
    ids=lambda o: next(iter(o)),
)  # fmt: skip
def test_what_does_not_fit_stays(engine: Engine, other: dict[str, object]) -> None:
    put(engine, row(**other))
    assert not engine.read(lambda tx: queue.anything_for(tx, APPETITE))
    assert engine.write(lambda tx: take(tx, "w", 10)) == []


def test_a_role_limits_what_is_claimed(engine: Engine) -> None:
    ids = put(engine, row(role="storage"), row())
    storage = queue.Appetite("default", ("storage",), KNOWN)

    def claim(tx: Transaction) -> list[str]:
        return [t.id for t in queue.claim(tx, storage, "w", 9, tx.now)]

    assert engine.write(claim) == ids[:1]


def test_not_before_its_time(engine: Engine) -> None:
    now = engine.read(lambda tx: tx.now)
    later = now + timedelta(hours=1)
    put(engine, row() | {"run_after": later})
    assert engine.write(lambda tx: take(tx, "w", 10)) == []
    due = engine.read(lambda tx: queue.next_due(tx, APPETITE))
    assert due is not None
    assert abs(due - later) < timedelta(milliseconds=1)


def test_a_claim_is_an_attempt_with_an_owner_and_a_deadline(engine: Engine) -> None:
    (task_id,) = put(engine, row())
    engine.write(lambda tx: take(tx, "w1", 1))
    task = engine.read(lambda tx: tasks.get(tx, task_id))
    assert (task.state, task.attempt, task.worker_id) == ("running", 1, "w1")
    assert task.deadline_at is not None
    assert task.started_at is not None


def _claim_everything(arguments: tuple[str, str]) -> list[str]:
    """In a process of its own: claim in small batches until nothing is left."""
    url, worker = arguments
    database = Database(url)
    taken: list[str] = []
    while batch := database.write(lambda tx: take(tx, worker, 7)):
        taken += batch
    database.close()
    return taken


def test_many_processes_never_twice_never_lost(
    engine: Engine, database_url: str
) -> None:
    count, processes = 600, 6
    ids = put(engine, *(row() for _ in range(count)))
    context = multiprocessing.get_context("spawn")
    with Pool(processes, context=context) as pool:
        names = [(database_url, f"w{n}") for n in range(processes)]
        taken = [i for part in pool.map(_claim_everything, names) for i in part]
    assert Counter(taken) == Counter(ids)
