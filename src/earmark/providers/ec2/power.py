"""Turning instances on and off."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Power
from earmark.domain.inventory import ObservedVm
from earmark.providers.ec2.calls import Calls
from earmark.providers.ec2.inventory import observed

#: A filter takes this many values at most (EC2 API Reference, "Filter").
_MOST_VALUES = 200


class Ec2Power(Power):
    """The handle of a power job is the instance's id: its state is what counts.

    EC2 takes no token here; a second request for the same state changes nothing.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def power_on(self, vm: str, token: str) -> str:
        """Start the instance."""
        self._calls.change("start_instances", "StartingInstances", InstanceIds=[vm])
        return vm

    def power_off(self, vm: str, token: str) -> str:
        """Stop it without giving the guest time to flush its disks."""
        return self._stop(vm, Force=True)

    def shutdown(self, vm: str, token: str) -> str:
        """Stop it in good order; EC2 pulls the plug itself if the guest hangs."""
        return self._stop(vm)

    def vms(self, ids: Sequence[str]) -> Mapping[str, ObservedVm]:
        """The instances as they are, two requests for every 200 of them."""
        return {
            vm.external_id: vm
            for start in range(0, len(ids), _MOST_VALUES)
            for vm in observed(self._calls, ids[start : start + _MOST_VALUES])
        }

    def _stop(self, vm: str, **how: bool) -> str:
        self._calls.change(
            "stop_instances", "StoppingInstances", InstanceIds=[vm], **how
        )
        return vm
