"""What a region has: EC2's words turned into ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from earmark.domain.capabilities import InventorySource
from earmark.domain.inventory import Listing, ObservedDisk, ObservedVm, PowerState
from earmark.providers.ec2.calls import Calls

#: An instance that is terminated still shows for an hour, but is no VM any more.
GONE = "terminated"

_STATES = {
    "pending": PowerState.STARTING,
    "running": PowerState.ON,
    "stopping": PowerState.STOPPING,
    "shutting-down": PowerState.STOPPING,
    "stopped": PowerState.OFF,
}


class Ec2Inventory(InventorySource):
    """Lists instances and their volumes."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list_all(self) -> Listing:
        """Everything in the region, page by page, so not of one instant."""
        return Listing(vms=tuple(observed(self._calls)))


def observed(calls: Calls, ids: Sequence[str] | None = None) -> list[ObservedVm]:
    """Return the instances that exist: these, or all.

    They are asked for by filter: by id, one that does not exist spoils the answer.
    """

    def only(name: str) -> list[Any]:
        return [] if ids is None else [{"Name": name, "Values": list(ids)}]

    reservations = calls.pages(
        "describe_instances", "Reservations", only("instance-id")
    )
    volumes = calls.pages("describe_volumes", "Volumes", only("attachment.instance-id"))
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    return [
        _vm(instance, by_id)
        for reservation in reservations
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != GONE
    ]


def _vm(instance: Any, volumes: Mapping[str, Any]) -> ObservedVm:
    identity = instance["InstanceId"]
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
    zone = instance.get("Placement", {}).get("AvailabilityZone", "")
    return ObservedVm(
        external_id=identity,
        name=tags.get("Name") or identity,
        power_state=_STATES.get(instance["State"]["Name"], PowerState.UNKNOWN),
        disks=tuple(
            _disk(mapping["DeviceName"], mapping["Ebs"]["VolumeId"], zone, volumes)
            for mapping in instance.get("BlockDeviceMappings", ())
            if "Ebs" in mapping
        ),
    )


def _disk(
    device: str, volume: str, zone: str, volumes: Mapping[str, Any]
) -> ObservedDisk:
    # One that was attached between our two questions is not among them: size 0.
    gib = volumes.get(volume, {}).get("Size", 0)
    return ObservedDisk(
        external_id=volume,
        alias=device,
        image=volume,
        size_bytes=gib << 30,
        domain=zone,  # a volume is always in its instance's availability zone
    )
