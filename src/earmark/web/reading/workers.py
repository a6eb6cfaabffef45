"""Zones and their workers as views."""

from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from earmark.domain.states import TaskState
from earmark.store import inventory, queue, schema, workers
from earmark.store.database import Transaction
from earmark.web.views import EVERY_ROLE, Heard, QueueView, WorkerView, ZoneView

#: How long a worker that has ended is still shown.
RECENT = timedelta(minutes=10)


def zone_views(tx: Transaction) -> tuple[ZoneView, ...]:
    """Show every zone with its workers and how much waits for them."""
    tasks = schema.tasks
    running = (
        sa.select(tasks.c.worker_id, sa.func.count().label("running"))
        .where(tasks.c.state == TaskState.RUNNING)
        .group_by(tasks.c.worker_id)
    )
    load = {row.worker_id: int(row.running) for row in tx.execute(running)}
    depths = queue.depths(tx)
    listed = workers.listed(tx, RECENT)
    found = []
    for zone in inventory.list_zones(tx):
        found.append(
            ZoneView(
                name=zone.name,
                workers=tuple(
                    _view(row, load, tx.now) for row in listed if row.zone == zone.name
                ),
                queues=tuple(
                    QueueView(row.role, row.depth, row.oldest)
                    for row in depths
                    if row.zone == zone.name
                ),
            )
        )
    return tuple(found)


def _view(row: sa.Row[Any], load: dict[str, int], now: datetime) -> WorkerView:
    state = workers.shown_state(row, now)
    return WorkerView(
        id=row.id,
        name=f"{row.host}:{row.pid}",
        state=cast(Heard, state if state in workers.ALIVE else "gone"),
        roles=tuple(EVERY_ROLE if role == "*" else role for role in row.roles),
        beat_at=row.seen_at,
        running=load.get(row.id, 0),
    )
