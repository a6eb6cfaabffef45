"""Power in several steps: a restart, and many VMs at once with canaries first."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from earmark.commands.power import PowerOff, PowerOn, ShutdownGuest
from earmark.domain.authoring import Results, Tx
from earmark.domain.command import Child, Command, Composite, WhenLocked
from earmark.domain.errors import UnknownName
from earmark.domain.inventory import PowerState
from earmark.domain.lock import Lock, exclusive
from earmark.domain.refs import VmRef
from earmark.engine.describe import build

Target = Literal["on", "off", "shutdown", "restart"]


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


#: What is asked of each VM, by target.
POWER: Mapping[Target, type[PowerOn | PowerOff | ShutdownGuest | RestartVm]] = {
    "on": PowerOn,
    "off": PowerOff,
    "shutdown": ShutdownGuest,
    "restart": RestartVm,
}
#: What people, addresses and the command line call it.
VERBS: Mapping[str, Target] = {
    "start": "on",
    "stop": "off",
    "shutdown": "shutdown",
    "restart": "restart",
}


def power(verb: str, vms: Sequence[str], canaries: int = 1) -> Command[Any]:
    """The command that a verb asks for: of one VM its own, of several one task in which
    the canaries go first. Raises `UnknownName` for no such verb."""
    if verb not in VERBS:
        raise UnknownName(
            f"A VM has no action {verb!r}.", hint=f"There are: {', '.join(VERBS)}."
        )
    target = VERBS[verb]
    if len(vms) == 1:
        return build(POWER[target], {"vm": vms[0]})
    return build(PowerMany, {"vms": vms, "target": target, "canaries": canaries})


class PowerMany(Composite[int]):
    """Turn many VMs on or off, shut them down or restart them: a few canaries first,
    and the rest when all of those have ended well. After a failure nothing more is
    sent. It waits until no other task holds any of the VMs. The result is how many VMs
    there are."""

    title = "Power of {vms}: {target}"
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
