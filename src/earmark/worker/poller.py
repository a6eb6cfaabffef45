"""The poller: per provider of the zone, one worker at a time asks about everything
that is under way there. A provider that hangs holds up nobody but itself."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from earmark.domain.inventory import Provider
from earmark.engine.poll import CALL_SECONDS, check_provider
from earmark.engine.runtime import Engine
from earmark.store import inventory, placeholders, workers
from earmark.store.database import Transaction

_log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
#: A look at a provider that takes longer than this is hung: its thread is given up.
HUNG_SECONDS = 3 * CALL_SECONDS
#: Hung looks before the worker is replaced: their threads cannot be ended (rule 6).
MOST_GIVEN_UP = 4
_IDLE_SECONDS = 2.0


class Poller:
    """Checks the providers of one zone, each in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        zone: str,
        worker_id: str,
        on_worn_out: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._zone = zone
        self._worker_id = worker_id
        self._on_worn_out = on_worn_out
        self._given_up = 0
        self._lock = threading.Lock()
        self._busy: dict[str, float] = {}
        self._leased: dict[str, float] = {}
        #: Called after every look.
        self.on_checked: Callable[[], None] = lambda: None

    def round(self) -> float:
        """Start a look at every provider where something is due; returns the pause."""
        with self._lock:
            busy = tuple(self._busy)
        for provider_id in busy:
            # A slow look keeps its lease; else every worker would come to ask too.
            self._lead(provider_id)
        due, pause = self._engine.read(self._look)
        for provider in due:
            if self._lead(provider.id):
                self._start(provider)
        return pause

    def _look(self, tx: Transaction) -> tuple[Sequence[Provider], float]:
        """The providers where something is due, and how soon to look again."""
        due: list[Provider] = []
        pause = _IDLE_SECONDS
        known = self._engine.commands.pairs()
        for provider in inventory.list_providers(tx):
            foreign = provider.zone != self._zone
            if foreign or provider.kind not in self._engine.connectors:
                continue
            if self._is_busy(provider.id):
                continue
            when = placeholders.next_due(tx, provider.id, known)
            if when is None:
                continue
            if when <= tx.now:
                due.append(provider)
            else:
                pause = min(pause, (when - tx.now).total_seconds())
        return due, max(pause, 0.01)

    def _is_busy(self, provider_id: str) -> bool:
        """True while a look goes on; one that hangs is given up, with its thread."""
        with self._lock:
            since = self._busy.get(provider_id)
            if since is None:
                return False
            if time.monotonic() - since < HUNG_SECONDS:
                return True
            del self._busy[provider_id]
            self._given_up += 1
        _log.warning("provider %s: asking it hangs, given up", provider_id)
        if self._given_up >= MOST_GIVEN_UP:
            self._on_worn_out()
        return False

    def _lead(self, provider_id: str) -> bool:
        """Hold the provider's lease; renewed when a third of it is over."""
        now = time.monotonic()
        if now < self._leased.get(provider_id, 0.0):
            return True
        name = f"poller:{provider_id}"
        held = self._engine.write(
            lambda tx: workers.lead(tx, name, self._worker_id, LEASE_SECONDS)
        )
        if held:
            self._leased[provider_id] = now + LEASE_SECONDS / 3
        return held

    def _start(self, provider: Provider) -> None:
        started = time.monotonic()
        with self._lock:
            self._busy[provider.id] = started
        threading.Thread(
            target=self._check,
            args=(provider.id, started),
            name=f"poll-{provider.name}",
            daemon=True,
        ).start()

    def _check(self, provider_id: str, started: float) -> None:
        looked = False
        try:
            looked = check_provider(self._engine, provider_id) > 0
        except Exception:  # noqa: BLE001 - the next look may do better
            _log.exception("provider %s: a look failed", provider_id)
        finally:
            with self._lock:
                if self._busy.get(provider_id) == started:
                    del self._busy[provider_id]
                else:
                    self._given_up -= 1  # it was slow, and did not hang
            if looked:  # else the next look comes with the pause, not in a hot loop
                self.on_checked()
