"""What commands of ours did is in the inventory at once, and no listing from before
takes it back (rule 18); snapshots come and go like everything that is listed."""

from datetime import timedelta

import pytest

from earmark.domain.errors import UnknownName
from earmark.domain.inventory import ObservedSnapshot
from earmark.engine.tx import EngineTx
from earmark.store import snapshots
from tests.inventory.shown import Shown, at, disk, seen

TWO = (disk("a"), disk("b"))


def snapshot(
    name: str = "s", external_id: str = "s-1", vm: str = "vm-1"
) -> ObservedSnapshot:
    return ObservedSnapshot(external_id, vm, name)


def aliases(shown: Shown) -> list[str]:
    return [d.alias for d in shown.vm.disks]


def test_a_removed_image_takes_its_disk_and_no_older_listing_brings_it_back(
    shown: Shown,
) -> None:
    shown.listing(at(0), seen(disks=TWO))
    before = shown.engine.read(lambda tx: tx.now)
    shown.changed(lambda tx: tx.image_removed("p-1", "image-a"))
    assert aliases(shown) == ["b"]
    assert shown.listing(before, seen(disks=TWO)).skipped == 1
    assert aliases(shown) == ["b"]
    later = before + timedelta(seconds=60)
    shown.listing(later, seen(disks=TWO), lag=5)
    assert aliases(shown) == ["a", "b"]


def test_an_image_that_no_disk_is_on_changes_nothing(shown: Shown) -> None:
    shown.listing(at(0), seen(disks=TWO))
    shown.changed(lambda tx: tx.image_removed("p-1", "image-z"))
    assert aliases(shown) == ["a", "b"]


def test_a_changed_disk_keeps_its_id_and_place(shown: Shown) -> None:
    shown.listing(at(0), seen(disks=TWO))
    vm, identity = shown.vm.id, shown.vm.disks[0].id
    new = disk("a", 7)
    shown.changed(lambda tx: tx.disk_changed(vm, new))
    (first, second) = shown.vm.disks
    assert (first.id, first.size_bytes, second.alias) == (identity, 7, "b")


def test_a_removed_vm_is_gone_with_its_snapshots(shown: Shown) -> None:
    shown.listing(at(0), seen(disks=TWO), snapshots=(snapshot(),))
    vm, before = shown.vm.id, shown.engine.read(lambda tx: tx.now)
    shown.changed(lambda tx: tx.vm_removed(vm))
    shown.listing(before, seen(disks=TWO), snapshots=(snapshot(),))
    assert shown.vms() == []
    assert shown.engine.read(lambda tx: snapshots.of_vm(tx, vm)) == []
    with pytest.raises(UnknownName):
        shown.changed(lambda tx: tx.vm("web"))


def test_who_uses_an_image_is_known_while_the_vm_is_there(shown: Shown) -> None:
    shown.listing(at(0), seen(disks=TWO))
    vm = shown.vm.id
    users: list[str | None] = []

    def ask() -> None:
        def work(tx: EngineTx) -> None:
            user = tx.user_of_image("p-1", "image-a")
            users.append(user.id if user else None)

        shown.changed(work)

    ask()
    shown.changed(lambda tx: tx.vm_removed(vm))
    ask()
    assert users == [vm, None]


def test_snapshots_are_listed_renamed_gone_and_back(shown: Shown) -> None:
    shown.listing(at(0), seen(), snapshots=(snapshot("one"),))
    (first,) = shown.snapshots()
    shown.listing(at(10), seen(), snapshots=(snapshot("two"),))
    assert [s.name for s in shown.snapshots()] == ["two"]
    shown.listing(at(20), seen())
    assert shown.snapshots() == []
    shown.listing(at(15), seen(), snapshots=(snapshot("two"),))
    assert shown.snapshots() == []
    shown.listing(at(30), seen(), snapshots=(snapshot("two"),))
    assert [s.id for s in shown.snapshots()] == [first.id]


def test_a_snapshot_of_a_vm_that_nobody_knows_is_left_out(shown: Shown) -> None:
    shown.listing(at(0), seen(), snapshots=(snapshot(vm="vm-9"),))
    assert shown.snapshots() == []


def test_a_snapshot_that_we_took_is_not_gone_within_the_lag(shown: Shown) -> None:
    shown.listing(at(0), seen())
    vm = shown.vm.id
    shown.changed(lambda tx: tx.add_snapshot("mine", vm=vm, external_id="s-1"))
    now = shown.engine.read(lambda tx: tx.now)
    shown.listing(now + timedelta(seconds=5), seen(), lag=30)
    assert [s.name for s in shown.snapshots()] == ["mine"]
    shown.listing(now + timedelta(seconds=60), seen(), lag=30)
    assert shown.snapshots() == []


def test_a_snapshot_that_a_refresh_has_just_listed_is_one(shown: Shown) -> None:
    shown.listing(at(0), seen())
    vm = shown.vm.id
    shown.listing(at(10), seen(), snapshots=(snapshot("listed"),))
    shown.changed(lambda tx: tx.add_snapshot("mine", vm=vm, external_id="s-1"))
    assert [s.name for s in shown.snapshots()] == ["mine"]
