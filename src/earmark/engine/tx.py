"""The `tx` that a command's methods get, as far as authors see it."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Protocol, cast

from earmark.domain.authoring import Returns
from earmark.domain.command import Command
from earmark.domain.inventory import (
    Disk,
    ObservedDisk,
    ObservedVm,
    Provider,
    Snapshot,
    Template,
    Tenant,
    Vm,
)
from earmark.domain.outcome import Undone
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine.authored import clean
from earmark.engine.runtime import Engine
from earmark.inventory import commanded, listed
from earmark.inventory import observe as observing
from earmark.store import (
    images,
    inventory,
    journal,
    schema,
    snapshots,
    tenants,
)
from earmark.store.database import Transaction


class Enqueue(Protocol):
    """The verb `enqueue`, which needs an `EngineTx` itself."""

    def __call__(
        self,
        tx: "EngineTx",
        command: Command[Any],
        *,
        owner: str,
        key: str | None,
        priority: int | None,
    ) -> Task:
        """Queue a command."""
        ...


class Names:
    """What the inventory says of references, each asked once: the children of a large
    plan name the same few things again and again."""

    def __init__(self, tx: Transaction) -> None:
        self.provider = cache(lambda ref: inventory.provider(tx, ref))
        self.id_of = cache(lambda kind, ref: inventory.resolve(tx, kind, ref))
        self.name_of = cache(lambda kind, one: inventory.name_of(tx, kind, one))
        self.zone = cache(lambda zone: inventory.check_zone(tx, zone))


class EngineTx:
    """One transaction, with what authors may do in it. See `domain.authoring.Tx`."""

    def __init__(
        self, engine: Engine, tx: Transaction, task: Task | None, enqueue: Enqueue
    ) -> None:
        self.engine = engine
        self.store = tx
        self.task = task
        self._enqueue = enqueue
        self._undone: Undone | None = None

    @property
    def now(self) -> datetime:
        """The store's time."""
        return self.store.now

    def enqueue(
        self,
        command: Returns[Any],
        *,
        key: str | None = None,
        priority: int | None = None,
    ) -> Task:
        """Queue another command, for the same owner."""
        owner = self.task.owner if self.task else LOCAL_OWNER
        return self._enqueue(
            self, cast(Command[Any], command), owner=owner, key=key, priority=priority
        )

    @property
    def undone(self) -> Undone:
        """What is to be taken back."""
        if self._undone is None:
            raise ValueError("There is something to take back in `undo` alone.")
        return self._undone

    def undoing(self, effect: Undone) -> None:
        """From here on, that is what is taken back."""
        self._undone = effect

    def log(self, text: str, level: str = "info") -> None:
        """Append to the running task's log."""
        if self.task is not None:
            journal.log(self.store, self.task.id, clean(text), level)

    def provider(self, ref: str) -> Provider:
        """A provider by id or name."""
        return inventory.provider(self.store, ref)

    def vm(self, ref: str) -> Vm:
        """A VM by id or name."""
        return inventory.vm(self.store, ref)

    def disks_of(self, vm: str) -> Sequence[Disk]:
        """A VM's disks."""
        return self.vm(vm).disks

    def template_named(self, provider: str, name: str) -> Template | None:
        """The provider's template of that name, if we know one."""
        owner = self.provider(provider)
        known = inventory.list_templates(self.store, owner.id)
        return next((t for t in known if t.name == name), None)

    def add_template(
        self,
        name: str,
        *,
        provider: str,
        external_id: str,
        images: Sequence[str],
        vm: str | None = None,
    ) -> Template:
        """Write a template that exists at the provider."""
        provider_id = self.provider(provider).id
        made = {
            "external_id": external_id,
            "name": name,
            "images": list(images),
            "vm_id": vm,
            "task_id": self.task.id if self.task else None,
        }
        template_id = listed.add(self.store, schema.templates, provider_id, made)
        return inventory.template(self.store, template_id)

    def tenant_named(self, provider: str, name: str) -> Tenant | None:
        """The provider's tenant of that name, if we know one."""
        return tenants.tenant_named(self.store, self.provider(provider).id, name)

    def add_tenant(
        self, name: str, *, provider: str, external_id: str, description: str = ""
    ) -> Tenant:
        """Write a tenant that exists at the provider."""
        made = {
            "external_id": external_id,
            "name": name,
            "description": description,
            "task_id": self.task.id if self.task else None,
        }
        provider_id = self.provider(provider).id
        tenant_id = listed.add(self.store, schema.tenants, provider_id, made)
        return tenants.tenant(self.store, tenant_id)

    def user_of_image(self, provider: str, image: str) -> Vm | None:
        """The VM that has a disk on a provider's image."""
        owner = images.user_of(self.store, self.provider(provider).id, image)
        return self.vm(owner) if owner else None

    def add_snapshot(self, name: str, *, vm: str, external_id: str) -> Snapshot:
        """Write a snapshot that exists at the provider."""
        owner = self.vm(vm)
        made = {"vm_id": owner.id, "external_id": external_id, "name": name}
        provider_id, table = owner.provider_id, schema.snapshots
        snapshot_id = listed.add(self.store, table, provider_id, made)
        known = snapshots.of_vm(self.store, owner.id)
        return next(snapshot for snapshot in known if snapshot.id == snapshot_id)

    def disk_changed(self, vm: str, disk: ObservedDisk) -> None:
        """Write a VM's disk as it was seen."""
        commanded.disk_changed(self.store, self.vm(vm), disk)

    def image_removed(self, provider: str, image: str) -> None:
        """Write that an image is gone."""
        commanded.image_removed(self.store, self.provider(provider).id, image)

    def vm_removed(self, vm: str) -> None:
        """Write that a VM is gone."""
        commanded.vm_removed(self.store, self.vm(vm))

    def observe(self, provider: str, vm: ObservedVm, began: datetime) -> bool:
        """Write what was seen of one VM."""
        return observing.observe_vm(self.store, provider, vm, began)
