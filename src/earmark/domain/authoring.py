"""The two handles that a command's methods get: `tx` for the database, `ctx` for the
world."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

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
from earmark.domain.secret import Secret
from earmark.domain.task import Task

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")


class Returns(Generic[R]):
    """Says what a command's result is, so that `results.of` can be typed."""


class Results(Protocol):
    """Typed results of finished predecessors, or of all children in `finish`."""

    def of(self, key: str, kind: type[Returns[R]]) -> R:
        """The result of the child with that key. Raises `BadInput`, which says what to
        write, when there is no such child, or the one that reads is not planned `after`
        it."""
        ...

    def keys(self) -> Sequence[str]:
        """The keys of every child that ended well, in the plan's order."""
        ...


class Tx(Protocol):
    """One transaction: everything done through it happens together or not at all."""

    @property
    def now(self) -> datetime:
        """The store's time, the same throughout the transaction."""
        ...

    @property
    def undone(self) -> Undone:
        """In `undo`: what is to be taken back. Raises `ValueError` elsewhere."""
        ...

    def enqueue(
        self,
        command: Returns[Any],
        *,
        key: str | None = None,
        priority: int | None = None,
    ) -> Task:
        """Queue another command in this transaction, as `Command.enqueue`."""
        ...

    def log(self, text: str, level: str = "info") -> None:
        """Append a line to the running task's log."""
        ...

    def provider(self, ref: str) -> Provider:
        """A provider by id or name; raises `UnknownName`."""
        ...

    def vm(self, ref: str) -> Vm:
        """A VM by id or name; raises `UnknownName`."""
        ...

    def disks_of(self, vm: str) -> Sequence[Disk]:
        """The disks of a VM, in their order."""
        ...

    def template_named(self, provider: str, name: str) -> Template | None:
        """The provider's template of that name, if we know one."""
        ...

    def add_template(
        self,
        name: str,
        *,
        provider: str,
        external_id: str,
        images: Sequence[str],
        vm: str | None = None,
    ) -> Template:
        """Write a template that exists at the provider into the inventory."""
        ...

    def tenant_named(self, provider: str, name: str) -> Tenant | None:
        """The provider's tenant of that name, if we know one."""
        ...

    def add_tenant(
        self, name: str, *, provider: str, external_id: str, description: str = ""
    ) -> Tenant:
        """Write a tenant that exists at the provider into the inventory."""
        ...

    def user_of_image(self, provider: str, image: str) -> Vm | None:
        """The VM that has a disk on a provider's image, if we know one."""
        ...

    def add_snapshot(self, name: str, *, vm: str, external_id: str) -> Snapshot:
        """Write a snapshot that exists at the provider into the inventory."""
        ...

    def disk_changed(self, vm: str, disk: ObservedDisk) -> None:
        """Write a VM's disk as it was seen after a command of ours."""
        ...

    def image_removed(self, provider: str, image: str) -> None:
        """Write that an image is gone at the provider, and a disk with it."""
        ...

    def vm_removed(self, vm: str) -> None:
        """Write that a VM is gone at the provider, with its snapshots."""
        ...

    def observe(self, provider: str, vm: ObservedVm, began: datetime) -> bool:
        """Write what was seen of one VM by a fetch that began then. An older
        observation never wins (rule 18): False when a newer one stands."""
        ...


class Attendant(Protocol):
    """Something that goes on in a worker after the task that began it has ended."""

    def run(self) -> None:
        """Do it, in a thread of its own, until it is over."""
        ...

    def end(self, why: str) -> None:
        """Let `run` return soon; called from another thread, and perhaps twice."""
        ...


class Ctx(Protocol):
    """The world, for one attempt of one task. Calls end by its deadline."""

    @property
    def task(self) -> Task:
        """The task as it was claimed."""
        ...

    @property
    def token(self) -> str:
        """The placeholder's id: the token that goes with the one changing request.

        Raises `ValueError` in an Action, which promises no effect."""
        ...

    @property
    def mark(self) -> str:
        """Installation id and token: what to write into an object so that it can be
        proved ours (rule 17)."""
        ...

    @property
    def request(self) -> Any:
        """What `prepare` returned, the same in every send, and to `find` and `poll`."""
        ...

    @property
    def sent_at(self) -> datetime | None:
        """When the request could first have left; None while it has not."""
        ...

    @property
    def results(self) -> Results:
        """Results of the siblings that this child came `after`."""
        ...

    @property
    def cancelled(self) -> bool:
        """True when nobody wants it any more: it was cancelled, its plan failed, its
        time is over, or another attempt has taken over. Look now and then, and end."""
        ...

    def connect(self, capability: type[C]) -> C:
        """The typed client of the command's provider; its calls end by this attempt's
        deadline. Raises `Unsupported` where its kind cannot do that, `BadInput` in a
        command that names no provider."""
        ...

    def connect_with(
        self,
        kind: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Secret],
        capability: type[C],
    ) -> C:
        """A client for an endpoint that is no provider of ours (yet)."""
        ...

    def now(self) -> datetime:
        """The store's time now; take it before a fetch that is to be observed."""
        ...

    def vm(self, ref: str) -> Vm:
        """A VM of the inventory by id or name, read now; raises `UnknownName`."""
        ...

    def reveal(self, secret: Secret) -> str:
        """Open a sealed secret. Raises `UnknownName` once the task that brought it
        has ended, `Unavailable` when the key is missing or another."""
        ...

    def progress(self, percent: int, message: str = "") -> None:
        """Show progress, 0–100; at most a write a second reaches the store."""
        ...

    def log(self, text: str, level: str = "info") -> None:
        """Append a line to the task's log."""
        ...

    def attend(self, attendant: Attendant) -> None:
        """Let it go on in this worker, until it is over or the worker stops; it takes
        no slot. Raises `Rejected` when the worker attends to enough already."""
        ...

    def save(self, work: Callable[[Tx], T]) -> T:
        """Run a short transaction that fails with `Stale` if this attempt is no
        longer in charge."""
        ...
