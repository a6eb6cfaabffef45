"""What commands of ours have done to VMs, written without looking at the whole VM
again. It counts as a write of our own: no listing from before it wins (rule 18)."""

from earmark.domain.inventory import ObservedDisk, Vm
from earmark.store import images, snapshots
from earmark.store import inventory as rows
from earmark.store.database import Transaction


def vm_removed(tx: Transaction, vm: Vm) -> None:
    """The provider has no such VM any more, nor its snapshots."""
    rows.lock_vms(tx, vm.provider_id, [vm.external_id])
    rows.vm_gone(tx, vm.id, tx.now, command_at=tx.now)
    snapshots.gone_with_vm(tx, vm.id)


def image_removed(tx: Transaction, provider_id: str, image: str) -> None:
    """The provider has no such image any more, nor a disk on it."""
    owner = images.user_of(tx, provider_id, image)
    if owner is not None:
        _touched(tx, rows.vm(tx, owner))
        images.drop_disk(tx, owner, image)


def disk_changed(tx: Transaction, vm: Vm, disk: ObservedDisk) -> None:
    """A disk of a VM was seen like this after our command."""
    _touched(tx, vm)
    images.put_disk(tx, vm.id, disk)


def _touched(tx: Transaction, vm: Vm) -> None:
    rows.lock_vms(tx, vm.provider_id, [vm.external_id])
    rows.change_vm(tx, vm.id, {"command_at": tx.now})
