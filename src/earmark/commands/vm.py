"""VMs: snapshots taken of them, and VMs removed for good."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from earmark.commands.checks import must_be_off
from earmark.commands.disk import RemoveImage
from earmark.commands.stands import one, one_in_time
from earmark.commands.take_back import taken_back
from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.capabilities import Machines, Power, Snapshots
from earmark.domain.command import Child, Command, Composite, ExternalJob
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.refs import VmRef


class CreateSnapshot(ExternalJob[str]):
    """Take a snapshot of a VM; the result is its id at the provider."""

    title = "Take snapshot {name} of {vm}"
    operation = "snapshot.create"
    vm: VmRef
    name: str = Field(min_length=1, max_length=100)

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def prepare(self, ctx: Ctx) -> Any:
        return {"vm": ctx.vm(self.vm).external_id, "name": self.name}

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Snapshots).create(**ctx.request, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Snapshots).find(ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one(ctx.connect(Snapshots).jobs([job]), job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        home = tx.vm(self.vm).provider_id
        return taken_back(tx, home, "snapshot", f"snapshot {self.name}")

    def finish(self, tx: Tx, result: str) -> None:
        tx.add_snapshot(self.name, vm=self.vm, external_id=result)


class RemoveVmRecord(ExternalJob[str]):
    """Remove a VM whose images are gone; the result is its id at the provider. Ends ok
    with "already gone" when there is none."""

    title = "Remove the record of {vm}"
    operation = "vm.remove"
    vm: VmRef

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def prepare(self, ctx: Ctx) -> Any:
        external_id = ctx.vm(self.vm).external_id
        if external_id not in ctx.connect(Power).vms([external_id]):
            return Done(external_id, message="already gone")
        return {"vm": external_id}

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Machines).remove(ctx.request["vm"], token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Machines).find(ctx.request["vm"], ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one_in_time(ctx, ctx.connect(Machines).jobs([job]), job)

    def progressed(self, tx: Tx, running: Running) -> None:
        if running.observed is not None:
            self.finish(tx, running.observed)

    def finish(self, tx: Tx, result: str) -> None:
        tx.vm_removed(self.vm)


class RemoveVm(Composite[str]):
    """Remove a VM that is off, for good: the image of every disk, and its record when
    all of them are gone. The result is its id at the provider."""

    title = "Remove VM {vm}"
    vm: VmRef

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def check(self, tx: Tx) -> None:
        must_be_off(tx.vm(self.vm), "removing it")

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        vm = tx.vm(self.vm)
        images = {
            disk.id: RemoveImage(
                provider=vm.provider_id,
                image=disk.image,
                alias=disk.alias,
                vm=vm.id,
                with_disk=True,
            )
            for disk in vm.disks
        }
        record = RemoveVmRecord(vm=vm.id)
        return {**images, "record": Child(record, after=tuple(images))}

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("record", RemoveVmRecord)
