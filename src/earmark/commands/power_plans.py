"""Power in several steps: a restart, and many VMs at once with canaries first."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from earmark.commands.power import PowerOff, PowerOn, ShutdownGuest
from earmark.domain.authoring import Results, Tx
from earmark.domain.command import Child, Command, Composite, WhenLocked
from earmark.domain.inventory import PowerState
from earmark.domain.lock import Lock, exclusive
from earmark.domain.refs import VmRef

Target = Literal["on", "off", "shutdown"]

#: What is asked of each VM, by target.
POWER: Mapping[Target, type[PowerOn | PowerOff | ShutdownGuest]] = {
    "on": PowerOn,
    "off": PowerOff,
    "shutdown": ShutdownGuest,
}


class RestartVm(Composite[PowerState]):
    """Pull a VM's plug and start it once it is off. One that is off is just started.
    When the first half fails, the second is never sent."""

    title = "Restart {vm}"
    vm: VmRef

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", self.vm)]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        on = Child(PowerOn(vm=self.vm), after=("off",))
        return {"off": PowerOff(vm=self.vm), "on": on}

    def finish(self, tx: Tx, results: Results) -> PowerState:
        return PowerState.ON


class PowerMany(Composite[int]):
    """Turn many VMs on or off, or shut them down: a few canaries first, and the rest
    when all of those have ended well. After a failure nothing more is sent. It waits
    until no other task holds any of the VMs. The result is how many VMs there are."""

    title = "Power {target}: {vms}"
    when_locked = WhenLocked.QUEUE
    vms: tuple[VmRef, ...] = Field(min_length=1, max_length=1000)
    target: Target
    #: How many of the VMs, from the first, go before the others; 0: all at once.
    canaries: int = Field(default=1, ge=0)

    def locks(self) -> Sequence[Lock]:
        return [exclusive("vm", vm) for vm in dict.fromkeys(self.vms)]

    def runs_in(self, tx: Tx) -> str:
        return tx.provider(tx.vm(self.vms[0]).provider_id).zone

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        ids = tuple(dict.fromkeys(self.vms))  # named twice is asked once
        first = ids[: self.canaries]
        command = POWER[self.target]
        return {
            vm: Child(command(vm=vm), after=() if vm in first else first) for vm in ids
        }

    def finish(self, tx: Tx, results: Results) -> int:
        return len(results.keys())
