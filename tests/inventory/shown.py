"""One provider's inventory, and what the tests let be seen of it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from earmark.domain.inventory import (
    Listing,
    ObservedDisk,
    ObservedSnapshot,
    ObservedTemplate,
    ObservedTenant,
    ObservedVm,
    PowerState,
    Provider,
    Snapshot,
    Template,
    Tenant,
    Vm,
)
from earmark.engine.enqueue import open_tx
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.inventory.observe import Changes, apply_listing, observe_vm
from earmark.store import inventory, snapshots, tenants
from earmark.store.database import Transaction
from tests.peers.lab import eventually

T = TypeVar("T")
Work = Callable[[Transaction], T]
ON, OFF = PowerState.ON, PowerState.OFF
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_BLOCKED = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def disk(identity: str, size: int = 1) -> ObservedDisk:
    return ObservedDisk(identity, identity, f"image-{identity}", size, "d")


def seen(
    name: str = "web",
    state: PowerState = ON,
    disks: tuple[ObservedDisk, ...] | None = None,
    external_id: str = "vm-1",
) -> ObservedVm:
    return ObservedVm(external_id, name, state, disks)


class Shown:
    """Short words for what the tests do and look at."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        provider = Provider("p-1", "house", "lab", "default", {})
        engine.write(lambda tx: inventory.add_provider(tx, provider))

    def observe(self, vm: ObservedVm, began: datetime) -> bool:
        return self.engine.write(lambda tx: observe_vm(tx, "p-1", vm, began))

    def listing(
        self,
        began: datetime,
        *vms: ObservedVm,
        templates: tuple[ObservedTemplate, ...] = (),
        snapshots: tuple[ObservedSnapshot, ...] = (),
        tenants: tuple[ObservedTenant, ...] = (),
        lag: float = 0,
    ) -> Changes:
        return self.engine.write(
            self.applied(
                began,
                *vms,
                templates=templates,
                snapshots=snapshots,
                tenants=tenants,
                lag=lag,
            )
        )

    @staticmethod
    def applied(
        began: datetime,
        *vms: ObservedVm,
        templates: tuple[ObservedTemplate, ...] = (),
        snapshots: tuple[ObservedSnapshot, ...] = (),
        tenants: tuple[ObservedTenant, ...] = (),
        lag: float = 0,
    ) -> Work[Changes]:
        whole = Listing(vms, templates, snapshots, tenants)
        late = timedelta(seconds=lag)
        return lambda tx: apply_listing(tx, "p-1", whole, began, late)

    def made(self, name: str, external_id: str = "t-1") -> Work[Template]:
        """A command of ours has made a template."""
        return lambda tx: open_tx(self.engine, tx).add_template(
            name, provider="p-1", external_id=external_id, images=["i"], vm="vm-9"
        )

    def made_tenant(self, name: str, external_id: str = "n-1") -> Work[Tenant]:
        """A command of ours has made a tenant."""
        return lambda tx: open_tx(self.engine, tx).add_tenant(
            name, provider="p-1", external_id=external_id, description="ours"
        )

    def changed(self, work: Callable[[EngineTx], Any]) -> None:
        """A command of ours has changed something, and says so."""
        self.engine.write(lambda tx: work(open_tx(self.engine, tx)))

    def snapshots(self) -> list[Snapshot]:
        return self.engine.read(lambda tx: snapshots.of_vm(tx, self.vm.id))

    def vms(self) -> list[Vm]:
        return self.engine.read(
            lambda tx: [
                inventory.vm(tx, row.id)
                for row in tx.execute(inventory.select_vms()).all()
            ]
        )

    @property
    def vm(self) -> Vm:
        (only,) = self.vms()
        return only

    def templates(self) -> list[Template]:
        return self.engine.read(lambda tx: inventory.list_templates(tx, "p-1"))

    def tenants(self) -> list[Tenant]:
        return self.engine.read(tenants.list_tenants)

    def overtaken(self, first: Work[Any], second: Work[T]) -> T:
        """Run `second` while `first` has written and not committed: the result of
        `second`, once it was blocked by `first` and that has committed."""
        with ThreadPoolExecutor(1) as pool:

            def work(tx: Transaction) -> "Future[T]":
                first(tx)
                started = threading.Event()

                def other(tx: Transaction) -> T:
                    started.set()
                    return second(tx)

                future = pool.submit(self.engine.write, other)
                if tx.connection.dialect.name == "postgresql":
                    started.wait()
                    eventually(self._anybody_blocked, "the second is blocked")
                return future

            return self.engine.write(work).result(30)

    def _anybody_blocked(self) -> bool:
        return bool(self.engine.read(lambda tx: tx.execute(_BLOCKED).scalar_one()))
