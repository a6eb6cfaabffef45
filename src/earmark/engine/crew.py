"""Crew: who could do a task now, as far as the workers' rows tell."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.store import workers as rows
from earmark.store.database import Transaction
from earmark.store.queue import ANY_ROLE
from earmark.store.schema import workers


class Crew:
    """The workers, read once for many questions."""

    def __init__(self, tx: Transaction) -> None:
        wanted = (
            workers.c.id,
            workers.c.host,
            workers.c.pid,
            workers.c.zone,
            workers.c.roles,
            workers.c.state,
            workers.c.seen_at,
            workers.c.commands,
        )
        self._now = tx.now
        self._all = tx.execute(sa.select(*wanted)).all()

    def live(self, zone: str, role: str | None) -> list[Any]:
        """Those that are alive in the zone and may work in the role; None: any."""
        fit = self._fit(zone, role)
        return [w for w in fit if rows.shown_state(w, self._now) == "live"]

    def shared_roles(self, zone: str, role: str) -> tuple[str, ...]:
        """The roles in which everybody works who is alive in the zone and may work in
        this one: what is queued for those is claimed in one order with it."""
        fit = self.live(zone, role)
        named = [set(w.roles) for w in fit if ANY_ROLE not in w.roles]
        if named:
            return tuple(sorted(set.intersection(*named)))
        return (ANY_ROLE,) if fit else (role,)

    def last_seen(self, zone: str, role: str | None) -> datetime | None:
        """When one of them was seen last, dead or alive."""
        return max((w.seen_at for w in self._fit(zone, role)), default=None)

    def knows(self, task: Task, role: str | None) -> bool:
        """True when one who is alive knows the task's command in its version."""
        pair = [task.command, task.command_version]
        known = (list(p) for w in self.live(task.zone, role) for p in w.commands)
        return pair in known

    def lost(self, worker_id: str | None) -> tuple[str, datetime | None] | None:
        """The worker's name and when it was heard last, if it is not heard any more;
        None while it is."""
        for w in self._all:
            if w.id == worker_id:
                alive = rows.shown_state(w, self._now) in ("live", "draining")
                return None if alive else (f"worker {w.host}:{w.pid}", w.seen_at)
        return "its worker", None

    def _fit(self, zone: str, role: str | None) -> list[Any]:
        return [
            w
            for w in self._all
            if w.zone == zone
            and (role is None or ANY_ROLE in w.roles or role in w.roles)
        ]


def no_worker(tx: Transaction, zone: str, role: str) -> bool:
    """True when nobody alive could take a task of the zone and role now."""
    return not rows.live(tx, zone, role)
