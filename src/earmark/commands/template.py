"""Templates: copy every disk of a VM, then seal the copies into one template. The
seeds' own example."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from earmark.commands.stands import one
from earmark.commands.take_back import taken_back
from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.capabilities import Images, Templates
from earmark.domain.command import Child, Command, Composite, Doubt, ExternalJob
from earmark.domain.errors import NameTaken, Rejected
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.refs import ProviderRef, VmRef


class CreateImageTemplate(ExternalJob[str]):
    """Copy one disk image; the result is the new image's id at the provider."""

    title = "Copy disk {alias} to {domain}"
    operation = "image.copy"
    provider: ProviderRef
    image: str
    alias: str
    domain: str

    def send(self, ctx: Ctx) -> str:
        images = ctx.connect(Images)
        return images.copy(self.image, self.domain, token=ctx.token, alias=self.alias)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Images).find(ctx.token)

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        return ctx.connect(Images).find_many([doubt.token for doubt in doubts])

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one(ctx.connect(Images).jobs([job]), job)

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[str] | Failed]:
        seen = ctx.connect(Images).jobs([job.id for job in jobs.values()])
        return {token: seen[job.id] for token, job in jobs.items() if job.id in seen}

    def cancel(self, ctx: Ctx, job: str) -> None:
        ctx.connect(Images).cancel(job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        copy = tx.undone.result
        if copy and tx.user_of_image(self.provider, copy) is not None:
            return None  # a disk is on it by now: that is what it was made for
        what = f"the copy of disk {self.alias}"
        return taken_back(tx, self.provider, "image", what)


class SealTemplate(ExternalJob[str]):
    """Make the copies into a template; the result is its id at the provider."""

    title = "Seal template {name}"
    operation = "template.create"
    provider: ProviderRef
    vm: VmRef
    name: str
    copies: tuple[str, ...]

    def prepare(self, ctx: Ctx) -> Any:
        images = [ctx.results.of(key, CreateImageTemplate) for key in self.copies]
        return {"vm": ctx.vm(self.vm).external_id, "images": images}

    def send(self, ctx: Ctx) -> str:
        templates, request = ctx.connect(Templates), ctx.request
        return templates.create(self.name, request["vm"], request["images"], ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Templates).find(ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one(ctx.connect(Templates).jobs([job]), job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return taken_back(tx, self.provider, "template", f"template {self.name}")


class AddVmTemplate(Composite[str]):
    """Make a template of a VM: a copy of every disk, then the seal. The result is the
    template's id."""

    title = "Create template {name} from VM {vm}"
    vm: VmRef
    name: str = Field(min_length=1, max_length=100)
    #: Where the copies go; empty: where each disk is.
    domain: str = ""

    def locks(self) -> Sequence[Lock]:
        return [shared("vm", self.vm), exclusive("template-name", self.name)]

    def check(self, tx: Tx) -> None:
        vm = tx.vm(self.vm)
        if not vm.disks:
            raise Rejected(f"VM {vm.name} has no disks to make a template of.")
        if tx.template_named(vm.provider_id, self.name):
            raise NameTaken(
                f"There is a template named {self.name!r} already.",
                hint="Choose another name.",
            )

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        vm = tx.vm(self.vm)
        copies = {
            disk.id: CreateImageTemplate(
                provider=vm.provider_id,
                image=disk.image,
                alias=disk.alias,
                domain=self.domain or disk.domain,
            )
            for disk in vm.disks
        }
        keys = tuple(copies)
        seal = SealTemplate(
            provider=vm.provider_id, vm=self.vm, name=self.name, copies=keys
        )
        return {**copies, "seal": Child(seal, after=keys)}

    def finish(self, tx: Tx, results: Results) -> str:
        vm = tx.vm(self.vm)
        copies = [key for key in results.keys() if key != "seal"]  # noqa: SIM118 - no mapping
        template = tx.add_template(
            self.name,
            provider=vm.provider_id,
            external_id=results.of("seal", SealTemplate),
            images=[results.of(key, CreateImageTemplate) for key in copies],
            vm=vm.id,
        )
        return template.id
