"""What several commands ask of a VM before anything is sent."""

from earmark.domain.errors import Rejected, UnknownName
from earmark.domain.inventory import Disk, PowerState, Vm


def must_be_off(vm: Vm, purpose: str) -> None:
    """Raise `Rejected` unless the VM was off when it was last seen."""
    if vm.power_state is not PowerState.OFF:
        raise Rejected(
            f"VM {vm.name} is {vm.power_state}; {purpose} needs it off.",
            hint=f"Turn it off first: `earmark vms shutdown {vm.name}`.",
        )


def disk_of(vm: Vm, ref: str) -> Disk:
    """A VM's disk by alias or id; raises `UnknownName`."""
    for disk in vm.disks:
        if ref in (disk.id, disk.external_id, disk.alias):
            return disk
    known = ", ".join(disk.alias for disk in vm.disks) or "none"
    raise UnknownName(f"VM {vm.name} has no disk {ref!r}; it has: {known}.")
