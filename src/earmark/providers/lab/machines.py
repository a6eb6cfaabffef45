"""Changing a lab's VMs: disks on other images, snapshots, and records removed."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Disks, Machines, Snapshots
from earmark.domain.errors import Refused
from earmark.domain.inventory import ObservedDisk, ObservedVm
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.inventory import observed_vm
from earmark.providers.lab.jobs import CreationJobs
from earmark.providers.lab.states import StateJobs


class LabDisks(Disks):
    """Switches disks; a done job's result is the disk as it was seen then."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = StateJobs(calls, "disk.switch", self._switched)

    def switch(self, vm: str, disk: str, image: str, *, token: str) -> str:
        """Start the switch; a disk that is on the image already stays on it."""
        order = {"image": image, "token": token}
        where = path("vms", vm, "disks", disk, "switch")
        return self._jobs.handle(self._calls.change(where, order), vm, disk, image)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the switches stand; none is missing."""
        return self._jobs.stand(handles)

    def find(self, vm: str, disk: str, image: str, token: str) -> Sequence[Found]:
        """The switch, or the disk when it is on the image."""
        return self._jobs.find(token, vm, disk, image)

    def _switched(self, vm: str, disk: str, image: str) -> ObservedDisk | None:
        seen = _vm(self._calls, vm)
        for each in (seen and seen.disks) or ():
            if (each.external_id, each.image) == (disk, image):
                return each
        return None


class LabMachines(Machines):
    """Removes the records of VMs; a done job's result is the id that is gone."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = StateJobs(calls, "vm.delete", self._gone)

    def remove(self, vm: str, *, token: str) -> str:
        """Start the removal; a record that is gone already is no error."""
        return self._jobs.delete(path("vms", vm), token, vm)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the removals stand; none is missing."""
        return self._jobs.stand(handles)

    def find(self, vm: str, token: str) -> Sequence[Found]:
        """The removal, or that the VM is gone."""
        return self._jobs.find(token, vm)

    def _gone(self, vm: str) -> str | None:
        return vm if _vm(self._calls, vm) is None else None


class LabSnapshots(Snapshots):
    """Takes snapshots; a done job's result is the snapshot's id."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = CreationJobs(calls, "snapshot.create")

    def create(self, vm: str, name: str, *, token: str) -> str:
        """Start taking it; the same token with the same words is the same one."""
        order = {"name": name, "token": token}
        return self._calls.create(path("vms", vm, "snapshots"), order)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand; those that the lab does not know are missing."""
        return self._jobs.stand(handles)

    def find(self, token: str) -> Sequence[Found]:
        """Every task or snapshot that carries the token."""
        return self._jobs.find(token)


def _vm(calls: Calls, vm: str) -> ObservedVm | None:
    try:
        return observed_vm(calls.read(path("vms", vm)))
    except Refused as refusal:
        if refusal.code != "not-found":
            raise
        return None
