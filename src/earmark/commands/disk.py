"""Disks: their images removed, switched, and moved to another storage domain.

Removing and switching are absolute: what is gone already, or on that image already,
is as was asked.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from earmark.commands.checks import disk_of, must_be_off
from earmark.commands.stands import in_time, one_in_time
from earmark.commands.template import CreateImageTemplate
from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.capabilities import Disks, Images, Power
from earmark.domain.command import Child, Command, Composite, ExternalJob
from earmark.domain.errors import BadInput, Rejected, UnknownName
from earmark.domain.inventory import ObservedDisk, Vm
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.refs import ObjectRef, ProviderRef, VmRef


class RemoveImage(ExternalJob[str]):
    """Delete one disk image for good; the result is its id at the provider. Ends ok
    with "already gone" when there is none."""

    title = "Remove disk image {alias}"
    operation = "image.delete"
    provider: ProviderRef
    image: str = Field(min_length=1)
    #: What people call it; empty: its id.
    alias: str = Field(default_factory=lambda values: str(values.get("image", "")))
    #: The VM that it belongs to, or did; it is locked meanwhile.
    vm: Annotated[str | None, ObjectRef("vm")] = None
    #: Whether the disk that is on it goes as well; else such an image is not touched.
    with_disk: bool = False

    def locks(self) -> Sequence[Lock]:
        owner = [exclusive("vm", self.vm)] if self.vm else []
        return [exclusive("image", self.image), *owner]

    def check(self, tx: Tx) -> None:
        user = tx.user_of_image(self.provider, self.image)
        if user is not None and user.id != self.vm:
            raise Rejected(
                f"VM {user.name} has a disk on image {self.alias}.",
                hint="Remove the VM, or move the disk.",
            )

    def prepare(self, ctx: Ctx) -> Any:
        if not ctx.connect(Images).exists(self.image):
            return Done(self.image, message="already gone")
        if self.vm is not None and not self.with_disk:
            self._refuse_used(ctx, ctx.vm(self.vm))
        return {"image": self.image}

    def _refuse_used(self, ctx: Ctx, vm: Vm) -> None:
        """Raise `Rejected` when a disk of the VM is on the image now, whatever is said
        of it in the inventory."""
        seen = ctx.connect(Power).vms([vm.external_id]).get(vm.external_id)
        if any(disk.image == self.image for disk in (seen and seen.disks) or ()):
            raise Rejected(f"VM {vm.name} has a disk on image {self.alias}.")

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Images).delete(self.image, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Images).find_deletion(self.image, ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one_in_time(ctx, ctx.connect(Images).deletions([job]), job)

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[str] | Failed]:
        seen = ctx.connect(Images).deletions([job.id for job in jobs.values()])
        return in_time(seen, jobs, ctx.now())

    def progressed(self, tx: Tx, running: Running) -> None:
        if running.observed is not None:
            self.finish(tx, running.observed)

    def finish(self, tx: Tx, result: str) -> None:
        tx.image_removed(self.provider, result)


class SwitchDisk(ExternalJob[ObservedDisk]):
    """Put a disk of a VM that is off on another image of the same content. Ends ok with
    "already on that image"."""

    title = "Switch disk {disk} of {vm}"
    operation = "disk.switch"
    vm: VmRef
    disk: str
    #: The image; empty in a plan whose child `copied_by` makes it.
    image: str = ""
    copied_by: str = ""

    def locks(self) -> Sequence[Lock]:
        # The image too, which somebody may be about to take back.
        image = [exclusive("image", self.image)] if self.image else []
        return [exclusive("vm", self.vm), *image]

    def check(self, tx: Tx) -> None:
        if bool(self.image) == bool(self.copied_by):
            raise BadInput("SwitchDisk needs an image.", fields={"image": "is missing"})
        vm = tx.vm(self.vm)
        disk_of(vm, self.disk)
        must_be_off(vm, "switching a disk")

    def prepare(self, ctx: Ctx) -> Any:
        image = self.image or ctx.results.of(self.copied_by, CreateImageTemplate)
        vm = ctx.vm(self.vm)
        disk = disk_of(vm, self.disk).external_id
        seen = ctx.connect(Power).vms([vm.external_id]).get(vm.external_id)
        now = {each.external_id: each for each in (seen and seen.disks) or ()}
        if disk not in now:
            raise UnknownName(f"The provider has no disk {disk} of {vm.name} any more.")
        if now[disk].image == image:
            return Done(now[disk], message="already on that image")
        return {"vm": vm.external_id, "disk": disk, "image": image}

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Disks).switch(**ctx.request, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Disks).find(**ctx.request, token=ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[ObservedDisk] | Failed:
        return one_in_time(ctx, ctx.connect(Disks).jobs([job]), job)

    def progressed(self, tx: Tx, running: Running) -> None:
        if running.observed is not None:
            self.finish(tx, running.observed)

    def finish(self, tx: Tx, result: ObservedDisk) -> None:
        tx.disk_changed(self.vm, result)


class MoveDisk(Composite[str]):
    """Move a disk to another storage domain: copy its image there, put the disk on the
    copy, remove the old image. The VM must be off, and stays locked meanwhile. The
    result is the new image's id."""

    title = "Move disk {disk} of {vm} to {domain}"
    vm: VmRef
    disk: str
    domain: str = Field(min_length=1)

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def check(self, tx: Tx) -> None:
        vm = tx.vm(self.vm)
        disk = disk_of(vm, self.disk)
        if disk.domain == self.domain:
            raise Rejected(f"Disk {disk.alias} of {vm.name} is in {self.domain}.")
        must_be_off(vm, "moving a disk")

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        vm = tx.vm(self.vm)
        disk = disk_of(vm, self.disk)
        copy = CreateImageTemplate(
            provider=vm.provider_id,
            image=disk.image,
            alias=disk.alias,
            domain=self.domain,
        )
        switch = SwitchDisk(vm=self.vm, disk=disk.alias, copied_by="copy")
        remove = RemoveImage(
            provider=vm.provider_id, image=disk.image, alias=disk.alias, vm=self.vm
        )
        return {
            "copy": Child(copy, weight=8),
            "switch": Child(switch, after=("copy",)),
            "remove": Child(remove, after=("switch",)),
        }

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("copy", CreateImageTemplate)
