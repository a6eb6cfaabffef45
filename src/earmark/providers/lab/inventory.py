"""What a lab has: its words turned into ours."""

from typing import Any

from earmark.domain.capabilities import InventorySource
from earmark.domain.inventory import (
    Listing,
    ObservedDisk,
    ObservedSnapshot,
    ObservedTemplate,
    ObservedTenant,
    ObservedVm,
    PowerState,
)
from earmark.providers.lab.calls import Calls


class LabInventory(InventorySource):
    """Lists VMs, templates, snapshots and tenants."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list_all(self) -> Listing:
        """Everything in four requests, so not of one instant."""
        return Listing(
            vms=tuple(observed_vm(vm) for vm in self._calls.listed("vms")),
            templates=tuple(
                ObservedTemplate(
                    external_id=template["id"],
                    name=template["name"],
                    images=tuple(template["images"]),
                )
                for template in self._calls.listed("templates")
            ),
            snapshots=tuple(
                ObservedSnapshot(
                    external_id=snapshot["id"],
                    vm=snapshot["vm"],
                    name=snapshot["name"],
                )
                for snapshot in self._calls.listed("snapshots")
            ),
            tenants=tuple(
                ObservedTenant(
                    external_id=tenant["id"],
                    name=tenant["name"],
                    description=tenant["description"],
                )
                for tenant in self._calls.listed("tenants")
            ),
        )


def observed_vm(vm: Any) -> ObservedVm:
    """Turn the lab's VM into ours; a state that we do not know is `unknown`."""
    state = vm["power_state"]
    known = state in PowerState.__members__.values()
    return ObservedVm(
        external_id=vm["id"],
        name=vm["name"],
        power_state=PowerState(state) if known else PowerState.UNKNOWN,
        disks=tuple(
            ObservedDisk(
                external_id=disk["id"],
                alias=disk["alias"],
                image=disk["image"],
                size_bytes=disk["size_bytes"],
                domain=disk["domain"],
            )
            for disk in vm["disks"]
        ),
    )
