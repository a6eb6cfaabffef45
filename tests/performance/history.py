"""A history of many ended tasks, written as rows: nobody waits for a million runs."""

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from earmark.domain.states import Outcome, TaskState
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.schema import tasks

CHUNK = 5_000
#: Seconds between two tasks: a million of them fill seven weeks.
APART = 4
#: One in so many.
FAILED, BY_EVE, IN_EAST, RESTARTED = 500, 5_000, 5_000, 2_000


def write_history(engine: Engine, count: int) -> None:
    """So many roots on a hundred VMs. The rare ones are old, since that is the hard
    case: among the newest half nothing has failed, is Eve's or is in zone east."""
    start = engine.read(lambda tx: tx.now) - timedelta(seconds=APART * count)
    for first in range(0, count, CHUNK):
        rows = [_row(start, n, count) for n in range(first, min(first + CHUNK, count))]
        engine.write(partial(_insert, rows=rows))
    with engine.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _insert(tx: Transaction, *, rows: list[dict[str, Any]]) -> None:
    tx.connection.execute(sa.insert(tasks), rows)


def _row(start: Any, n: int, count: int) -> dict[str, Any]:
    at = start + timedelta(seconds=APART * n)
    old = n < count // 2
    task_id = _id(at, n)
    failed = old and n % FAILED == 0
    vm = f"vm-{n % 100}"
    return {
        "id": task_id, "root_id": task_id, "parent_id": None, "key": "",
        "retry_of": None,
        "command": "RestartVm" if old and n % RESTARTED == 1 else "PowerOff",
        "command_version": 1, "params": {"vm": vm}, "title": f"Power off {vm}",
        "object_kind": "vm", "object_id": vm, "provider_id": "p-1",
        "owner": "eve" if old and n % BY_EVE == 2 else "local",
        "zone": "east" if old and n % IN_EAST == 3 else "default",
        "role": "operations", "priority": 100, "weight": 1,
        "state": TaskState.DONE, "step": "run",
        "outcome": Outcome.FAILED if failed else Outcome.OK, "verdict": None,
        "progress": 100, "message": "It does not answer." if failed else "off",
        "result": {"power_state": "off"},
        "error": {"code": "x", "message": "It does not answer."} if failed else None,
        "attempt": 1, "tries": 1, "recoveries": 0, "pending": 0,
        "stop_requested": False, "cancelled_by": None, "on_restart": "resume",
        "restored": False, "worker_id": "w-1", "run_after": at, "deadline_at": None,
        "start_by": None, "end_by": None, "log_lines": 0, "version": 5,
        "created_at": at, "started_at": at, "finished_at": at, "updated_at": at,
    }  # fmt: skip


def _id(at: Any, n: int) -> str:
    """The UUIDv7 of that moment."""
    high = int(at.timestamp() * 1000) << 16 | 7 << 12
    return str(uuid.UUID(int=high << 64 | 0b10 << 62 | n))
