"""The scheduler: what is to be done by the clock. One worker at a time, by lease."""

import logging
from datetime import timedelta

from earmark.commands import RefreshProvider, SweepProvider
from earmark.domain.orphan import SweepState
from earmark.engine.browse import unfinished
from earmark.engine.enqueue import forget_old_keys, open_tx
from earmark.engine.runtime import Engine
from earmark.engine.sweep import could_not, sweepable
from earmark.store import (
    consoles,
    dialect,
    drafts,
    inventory,
    journal,
    orphans,
    workers,
)
from earmark.store.database import Transaction

_log = logging.getLogger(__name__)
LEASE_SECONDS = 15.0
_PAUSE_SECONDS = 5.0
#: Scheduled work waits behind what people ask for.
LOW_PRIORITY = 200
_NOTHING_MADE = "Earmark makes nothing at this kind of provider: no orphans."
DRAFTS_LIVE = timedelta(hours=1)
CONSOLES_KEPT = timedelta(hours=1)
WORKERS_KEPT = timedelta(days=1)


class Scheduler:
    """Queues the refreshes and sweeps that are due; throws old drafts, consoles, keys
    and rows of workers away; keeps the store's clock with the host's, where it may."""

    def __init__(
        self,
        engine: Engine,
        worker_id: str,
        refresh_seconds: float,
        sweep_seconds: float = 900.0,
    ) -> None:
        self._engine = engine
        self._worker_id = worker_id
        self._every = timedelta(seconds=refresh_seconds)
        self._sweep_every = timedelta(seconds=sweep_seconds)

    def round(self) -> float:
        """Do what is due, if this worker leads."""
        leads = self._engine.write(
            lambda tx: workers.lead(tx, "scheduler", self._worker_id, LEASE_SECONDS)
        )
        if leads:
            self._engine.write(self._follow_wall_clock)
            self._engine.write(self._queue_refreshes)
            self._engine.write(self._queue_sweeps)
            self._engine.write(lambda tx: drafts.prune(tx, tx.now - DRAFTS_LIVE))
            self._engine.write(lambda tx: consoles.prune(tx, tx.now - CONSOLES_KEPT))
            self._engine.write(forget_old_keys)
            self._engine.write(lambda tx: workers.prune(tx, tx.now - WORKERS_KEPT))
        return _PAUSE_SECONDS

    def _follow_wall_clock(self, tx: Transaction) -> None:
        moved = dialect.follow_wall_clock(tx.connection).total_seconds()
        if moved:
            actor = f"worker:{self._worker_id}"
            journal.note(tx, actor, "follow-clock", None, seconds=moved)
            _log.warning("the store's clock follows the host's, %.0f s forward", moved)

    def _queue_refreshes(self, tx: Transaction) -> None:
        for provider in inventory.refresh_due(tx):
            inventory.change_provider(
                tx, provider.id, refresh_due_at=tx.now + self._every
            )
            refresh = RefreshProvider(provider=provider.id)
            if not unfinished(tx, type(refresh).__name__, "provider", provider.id):
                refresh.enqueue(open_tx(self._engine, tx), priority=LOW_PRIORITY)

    def _queue_sweeps(self, tx: Transaction) -> None:
        known = inventory.list_providers(tx)
        ids = [it.id for it in known if sweepable(self._engine, it.kind)]
        newest = orphans.newest_sweeps(tx, [it.id for it in known])
        for other in known:
            never = newest[other.id].state is SweepState.NEVER
            if other.id not in ids and never:
                could_not(tx, other.id, SweepState.UNSUPPORTED, _NOTHING_MADE)
        for provider_id in orphans.sweeps_due(tx, ids, tx.now + self._sweep_every):
            sweep = SweepProvider(provider=provider_id)
            if not unfinished(tx, type(sweep).__name__, "provider", provider_id):
                sweep.enqueue(open_tx(self._engine, tx), priority=LOW_PRIORITY)
