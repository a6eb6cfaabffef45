"""Turning a lab's VMs on and off."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Power
from earmark.domain.inventory import ObservedVm
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.inventory import observed_vm


class LabPower(Power):
    """The handle of a power job is the VM's id: its state is what counts.

    The lab's task is left alone. It proves less than the state, and is gone when
    somebody clears it.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def power_on(self, vm: str, token: str) -> str:
        """Start; also when it is on or starting already."""
        return self._ask(vm, "start", token)

    def power_off(self, vm: str, token: str) -> str:
        """Pull the plug; also on a VM that is starting."""
        return self._ask(vm, "stop", token)

    def shutdown(self, vm: str, token: str) -> str:
        """Ask the guest; the lab calls it done even when the guest does not listen."""
        return self._ask(vm, "shutdown", token)

    def vms(self, ids: Sequence[str]) -> Mapping[str, ObservedVm]:
        """One request, however many are asked for."""
        wanted = set(ids)
        return {
            vm["id"]: observed_vm(vm)
            for vm in self._calls.listed("vms")
            if vm["id"] in wanted
        }

    def _ask(self, vm: str, verb: str, token: str) -> str:
        self._calls.change(path("vms", vm, verb), {"token": token})
        return vm
