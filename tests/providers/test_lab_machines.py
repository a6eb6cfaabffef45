"""What the lab does to machines: snapshots, switched disks, deletions. The last two are
absolute: the state counts, whoever brought it about and whatever became of the task."""

from pathlib import Path

import pytest

from earmark.domain.capabilities import (
    Disks,
    Images,
    InventorySource,
    Machines,
    Snapshots,
)
from earmark.domain.connector import EffectClass
from earmark.domain.errors import NotSent, Refused
from earmark.domain.inventory import ObservedDisk, ObservedSnapshot
from earmark.domain.outcome import Done, Failed, Progress, Running
from earmark.providers.lab import CONNECTOR
from tests.peers.lab import LabProcess, eventually
from tests.providers.labs import end_of, site_of, token


@pytest.fixture
def images(lab: LabProcess) -> Images:
    return site_of(lab).client(Images, seconds=60)


@pytest.fixture
def snapshots(lab: LabProcess) -> Snapshots:
    return site_of(lab).client(Snapshots, seconds=60)


@pytest.fixture
def disks(lab: LabProcess) -> Disks:
    return site_of(lab).client(Disks, seconds=60)


@pytest.fixture
def machines(lab: LabProcess) -> Machines:
    return site_of(lab).client(Machines, seconds=60)


def image_of(lab: LabProcess, vm: str) -> str:
    return str(lab.vm(vm)["disks"][0]["image"])


def copied(images: Images, source: str) -> str:
    job = images.copy(source, "bulk", token=token())

    def made() -> str | None:
        stands = images.jobs([job])[job]
        return str(stands.result) if isinstance(stands, Done) else None

    return eventually(made, "the copy")


def gone(images: Images, job: str) -> Progress:
    eventually(lambda: not isinstance(images.deletions([job])[job], Running))
    return images.deletions([job])[job]


def test_deletions_and_switches_are_absolute_and_snapshots_have_a_token() -> None:
    effects = {name: each.effect for name, each in CONNECTOR.operations.items()}
    for name in ("image.delete", "disk.switch", "vm.remove"):
        assert effects[name] is EffectClass.ABSOLUTE
    assert effects["snapshot.create"] is EffectClass.TOKEN


def test_an_image_is_deleted_and_asking_again_is_harmless(
    lab: LabProcess, images: Images
) -> None:
    image, mark = image_of(lab, "cache01"), token()
    assert images.exists(image)
    assert images.find_deletion(image, mark) == []
    job = images.delete(image, token=mark)
    (found,) = images.find_deletion(image, mark)
    assert (found.id, found.mark, found.done) == (job, mark, None)
    assert isinstance(images.deletions([job])[job], Running)
    images.delete(image, token=mark)
    assert isinstance(end := gone(images, job), Done)
    assert end.result == image
    assert not images.exists(image)
    again = images.delete(image, token=token())
    assert gone(images, again) == Done(image)
    assert len(lab.effects("image.delete")) == 1


def test_an_image_in_use_is_refused(lab: LabProcess, images: Images) -> None:
    with pytest.raises(Refused) as caught:
        images.delete(image_of(lab, "web01"), token=token())
    assert caught.value.code == "in-use"


def test_a_deletion_that_fails_says_why_and_leaves_the_image(
    lab: LabProcess, images: Images
) -> None:
    lab.fault("fail-task", "image.delete")
    image = image_of(lab, "cache01")
    end = gone(images, images.delete(image, token=token()))
    assert isinstance(end, Failed)
    assert images.exists(image)


def test_a_failed_deletion_of_what_somebody_else_deleted_is_done(
    lab: LabProcess, images: Images
) -> None:
    """The state counts, not the task."""
    image = image_of(lab, "cache01")
    lab.fault("fail-task", "image.delete")
    job = images.delete(image, token=token())
    assert isinstance(gone(images, job), Failed)
    gone(images, images.delete(image, token=token()))
    assert isinstance(images.deletions([job])[job], Done)


def test_a_forgotten_deletion_is_seen_by_its_state(
    lab: LabProcess, images: Images
) -> None:
    lab.fault("forget-task", "image.delete")
    image, mark = image_of(lab, "cache01"), token()
    job = images.delete(image, token=mark)
    assert isinstance(gone(images, job), Done)
    (found,) = images.find_deletion(image, mark)
    assert isinstance(images.deletions([found.id])[found.id], Done)


def test_a_forgotten_deletion_that_failed_says_what_it_waits_for(
    lab: LabProcess, images: Images
) -> None:
    """It may still be under way for all that anybody can tell: no end is invented."""
    for fault in ("fail-task", "forget-task"):
        lab.fault(fault, "image.delete")
    job = images.delete(image_of(lab, "cache01"), token=token())
    stands = images.deletions([job])[job]
    assert isinstance(stands, Running)
    assert "no job" in stands.message


def test_an_image_that_lists_lack_still_exists(lab: LabProcess, images: Images) -> None:
    lab.fault("list-lag", times=None, seconds=60)
    assert images.exists(image_of(lab, "cache01"))


def test_many_deletions_are_asked_about_at_once(
    lab: LabProcess, images: Images
) -> None:
    disks = lab.vm("db01")["disks"]
    jobs = [images.delete(disk["image"], token=token()) for disk in disks]
    lab.clear_ledger()
    assert images.deletions(jobs).keys() == set(jobs)
    assert sum(each["path"] == "/api/tasks" for each in lab.requests()) == 1
    assert images.deletions([]) == {}


def test_a_disk_is_switched_and_asking_again_is_harmless(
    lab: LabProcess, images: Images, disks: Disks
) -> None:
    machine = lab.vm("cache01")
    vm, disk = machine["id"], machine["disks"][0]["id"]
    new, mark = copied(images, machine["disks"][0]["image"]), token()
    assert disks.find(vm, disk, new, mark) == []
    job = disks.switch(vm, disk, new, token=mark)
    assert [found.id for found in disks.find(vm, disk, new, mark)] == [job]
    end = end_of(disks, job)
    assert isinstance(end, Done)
    assert isinstance(end.result, ObservedDisk)
    assert (end.result.image, end.result.domain) == (new, "bulk")
    again = disks.switch(vm, disk, new, token=mark)
    assert isinstance(end_of(disks, again), Done)
    assert len(lab.effects("disk.switch")) == 1


def test_a_switch_that_was_taken_back_has_diverged(
    lab: LabProcess, images: Images, disks: Disks
) -> None:
    machine = lab.vm("cache01")
    vm, disk = machine["id"], machine["disks"][0]["id"]
    old = machine["disks"][0]["image"]
    job = disks.switch(vm, disk, copied(images, old), token=token())
    end_of(disks, job)
    end_of(disks, disks.switch(vm, disk, old, token=token()))
    end = end_of(disks, job)
    assert isinstance(end, Failed)
    assert end.code == "diverged"


def test_a_vm_is_removed_when_its_images_are_gone(
    lab: LabProcess, images: Images, machines: Machines
) -> None:
    vm, mark = lab.vm("cache01")["id"], token()
    with pytest.raises(Refused) as caught:
        machines.remove(vm, token=mark)
    assert caught.value.code == "has-disks"
    gone(images, images.delete(image_of(lab, "cache01"), token=token()))
    job = machines.remove(vm, token=mark)
    assert [found.id for found in machines.find(vm, mark)] == [job]
    end = end_of(machines, job)
    assert isinstance(end, Done)
    assert end.result == vm
    assert end_of(machines, machines.remove(vm, token=token())) == Done(vm)
    assert len(lab.effects("vm.delete")) == 1


def test_a_snapshot_is_taken_once_and_listed(
    lab: LabProcess, snapshots: Snapshots
) -> None:
    vm, mark = lab.vm("web01")["id"], token()
    job = snapshots.create(vm, "before", token=mark)
    assert snapshots.create(vm, "before", token=mark) == job
    end = end_of(snapshots, job)
    assert isinstance(end, Done)
    listed = site_of(lab).client(InventorySource).list_all().snapshots
    assert listed == (ObservedSnapshot(end.result, vm, "before"),)
    lab.call("POST", f"/tasks/{job}/clear").raise_for_status()
    (found,) = snapshots.find(mark)
    assert (found.id, found.mark) == (f"snapshot:{end.result}", mark)
    assert snapshots.jobs([found.id]) == {found.id: Done(end.result)}


def test_an_id_with_odd_characters_stays_one_part_of_path_and_handle(
    lab: LabProcess, images: Images
) -> None:
    job = images.delete("../vms/x y", token=token())
    assert gone(images, job) == Done("../vms/x y")
    assert lab.effects() == []


def test_each_change_carries_its_token_once(lab: LabProcess, images: Images) -> None:
    mark = token()
    images.delete(image_of(lab, "cache01"), token=mark)
    (asked,) = [each for each in lab.requests(token=mark) if each["verb"]]
    assert (asked["method"], asked["verb"]) == ("DELETE", "image.delete")


def test_a_deletion_whose_answer_is_lost_is_doubt(
    lab: LabProcess, images: Images
) -> None:
    lab.fault("lose-reply", "image.delete")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        images.delete(image_of(lab, "cache01"), token=token())
    assert not isinstance(caught.value, NotSent | Refused)
    assert len(lab.requests("image.delete")) == 1


def test_a_lab_that_is_gone_was_sent_nothing(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab") as lab:
        images, image = site_of(lab).client(Images), image_of(lab, "cache01")
        lab.kill()
        with pytest.raises(NotSent):
            images.delete(image, token=token())
