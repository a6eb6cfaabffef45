"""Power: on, off and shut down.

All are absolute: the state that is reached counts, and "accepted" is not "done", so
each is followed until the VM is seen in its target state.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Power
from earmark.domain.command import Doubt, ExternalJob
from earmark.domain.errors import UnknownName
from earmark.domain.inventory import ObservedVm, PowerState
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.refs import VmRef


class Powered(BaseModel, frozen=True):
    """The power state that was seen; with the observation behind it, until settled."""

    power_state: PowerState
    vm: ObservedVm = Field(exclude=True)
    began: datetime = Field(exclude=True)


class _PowerJob(ExternalJob[Powered]):
    """What the three have in common; `target` and `on_the_way` tell them apart."""

    target: ClassVar[PowerState]
    on_the_way: ClassVar[PowerState]
    #: How long after the request the target may take; then the state has diverged.
    patience: ClassVar[timedelta] = timedelta(minutes=10)

    vm: VmRef

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def prepare(self, ctx: Ctx) -> Any:
        began = ctx.now()
        external_id = ctx.vm(self.vm).external_id
        seen = ctx.connect(Power).vms([external_id]).get(external_id)
        if seen is None:
            raise UnknownName(f"The provider has no VM {external_id} any more.")
        if seen.power_state is self.target:
            return Done(_powered(seen, began), message=f"already {self.target}")
        return {"vm": external_id}

    def find(self, ctx: Ctx) -> Sequence[Found]:
        external_id = ctx.request["vm"]
        return self._candidates(ctx.connect(Power).vms([external_id]), external_id)

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        vms = {doubt.token: doubt.request["vm"] for doubt in doubts}
        seen = ctx.connect(Power).vms(sorted(set(vms.values())))
        return {token: cls._candidates(seen, vm) for token, vm in vms.items()}

    @classmethod
    def _candidates(
        cls, seen: Mapping[str, ObservedVm], external_id: str
    ) -> Sequence[Found]:
        vm = seen.get(external_id)
        if vm is None or vm.power_state not in (cls.target, cls.on_the_way):
            return []
        return [Found(external_id, facts={"power_state": vm.power_state})]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[Powered] | Failed:
        sent_at = ctx.sent_at
        assert sent_at is not None, "polled only after it was sent"
        return self.poll_many(ctx, {ctx.token: Job(job, sent_at)})[ctx.token]

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[Powered] | Failed]:
        began = ctx.now()
        seen = ctx.connect(Power).vms([job.id for job in jobs.values()])
        return {
            token: cls._judge(seen[job.id], job, began)
            for token, job in jobs.items()
            if job.id in seen
        }

    @classmethod
    def _judge(
        cls, vm: ObservedVm, job: Job, began: datetime
    ) -> Running | Done[Powered] | Failed:
        if vm.power_state is cls.target:
            return Done(_powered(vm, began), message=f"{vm.name} is {cls.target}")
        if began - job.sent_at > cls.patience:
            waited = int(cls.patience.total_seconds() // 60)
            return Failed(
                f"{vm.name} is still {vm.power_state} {waited} minutes after the "
                f"provider accepted the request.",
                code="diverged",
            )
        seen = _powered(vm, began)
        return Running(message=f"{vm.name} is {vm.power_state}", observed=seen)

    def progressed(self, tx: Tx, running: Running) -> None:
        seen: Powered = running.observed
        tx.observe(tx.vm(self.vm).provider_id, seen.vm, seen.began)

    def finish(self, tx: Tx, result: Powered) -> None:
        tx.observe(tx.vm(self.vm).provider_id, result.vm, result.began)


def _powered(vm: ObservedVm, began: datetime) -> Powered:
    return Powered(power_state=vm.power_state, vm=vm, began=began)


class PowerOn(_PowerJob):
    """Start a VM. Ends ok with "already on" when it runs."""

    title = "Power on {vm}"
    operation = "vm.power_on"
    target = PowerState.ON
    on_the_way = PowerState.STARTING

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Power).power_on(ctx.request["vm"], ctx.token)


class PowerOff(_PowerJob):
    """Pull a VM's plug, without asking the guest. Ends ok with "already off"."""

    title = "Power off {vm}"
    operation = "vm.power_off"
    target = PowerState.OFF
    on_the_way = PowerState.STOPPING

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Power).power_off(ctx.request["vm"], ctx.token)


class ShutdownGuest(_PowerJob):
    """Ask a VM's guest to shut down. A guest may ignore it: then this fails after five
    minutes and says so, and the VM stays on."""

    title = "Shut down {vm}"
    operation = "vm.shutdown"
    target = PowerState.OFF
    on_the_way = PowerState.STOPPING
    patience = timedelta(minutes=5)

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Power).shutdown(ctx.request["vm"], ctx.token)
