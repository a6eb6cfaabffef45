"""A VM is removed piece by piece: every image first, whatever order their deletions end
in, and the record last. The lab is simulated by us; its ledger is the witness."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.commands import PowerOn, RemoveImage, RemoveVm, RemoveVmRecord
from earmark.domain.errors import Rejected, UnknownName
from tests.acceptance.house import House
from tests.peers.lab import LabProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabProcess]:
    """A quick lab with one VM, which is off and has four disks."""
    times = {"copy_seconds": 0.4, "power_seconds": 0.3, "short_seconds": 0.2}
    with LabProcess(tmp_path / "lab", seed="disks", **times) as process:
        yield process


def images_of(house: House) -> list[str]:
    return [disk["image"] for disk in house.lab.vm("files01")["disks"]]


def order(house: House) -> list[str]:
    """What was really done, in order."""
    return [effect["verb"] for effect in house.lab.effects()]


@pytest.mark.parametrize("late", [0, 3])
def test_not_done_before_the_last_image_is_gone(house: House, late: int) -> None:
    """Whichever deletion takes longest, nothing that counts ends before it does."""
    house.lab.fault("slow", verb="image.delete", after=late, times=1, seconds=1)
    house.worker()
    task = house.ask(RemoveVm(vm="files01"))
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    assert order(house) == ["image.delete"] * 4 + ["vm.delete"]
    deletions = house.lab.requests("image.delete")
    effects = house.lab.effects("image.delete")
    assert effects[-1]["token"] == deletions[late]["token"], "the slow one was last"
    (record,) = house.lab.requests("vm.delete")
    assert record["at"] > effects[-1]["at"]
    assert house.lab.call("GET", "/vms").json() == {"vms": []}
    house.assert_one_effect_each(task)
    house.assert_settled(task)
    with pytest.raises(UnknownName):
        house.vm("files01")


@pytest.mark.parametrize(("fault", "which"), [("refuse", 0), ("fail-task", 3)])
def test_when_one_deletion_fails_the_record_stays_and_is_named(
    house: House, fault: str, which: int
) -> None:
    house.lab.fault(fault, verb="image.delete", after=which, times=1)
    house.worker()
    task = house.ask(RemoveVm(vm="files01"))
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    assert house.lab.requests("vm.delete") == []
    assert ended.error is not None
    (left, *more) = house.vm("files01").disks
    assert [disk.image for disk in (left, *more)] == images_of(house)
    for disk in (left, *more):
        assert f"Remove disk image {disk.alias}" in ended.error["not_done"]
    assert "Remove the record of files01" in ended.error["not_done"]
    assert "Not done: Remove " in ended.message
    # What is gone is no leftover.
    assert "left_behind" not in ended.error
    house.assert_settled(task)
    # Asked again, it removes what was left.
    assert house.end_of(house.ask(RemoveVm(vm="files01"))).outcome == "ok"
    assert order(house) == ["image.delete"] * 4 + ["vm.delete"]


def test_an_image_that_somebody_else_removed_is_already_gone(house: House) -> None:
    gone = images_of(house)[1]
    asked = house.lab.call("DELETE", f"/images/{gone}").json()["task"]
    house.lab.finished(asked)
    house.lab.clear_ledger()
    house.worker()
    task = house.ask(RemoveVm(vm="files01"))
    assert house.end_of(task).outcome == "ok", house.story(task)
    said = [each.message for each in house.family(task)]
    assert said.count("already gone") == 1
    assert order(house) == ["image.delete"] * 3 + ["vm.delete"]
    house.assert_settled(task)


def test_what_is_gone_already_ends_well_and_sends_nothing(house: House) -> None:
    vm, images = house.vm("files01"), images_of(house)
    house.worker()
    assert house.end_of(house.ask(RemoveVm(vm="files01"))).outcome == "ok"
    house.lab.clear_ledger()
    for command in (
        RemoveImage(provider="lab", image=images[0]),
        RemoveVmRecord(vm=vm.id),
        RemoveVm(vm=vm.id),
    ):
        task = house.ask(command)
        assert house.end_of(task).outcome == "ok", house.story(task)
    assert house.lab.effects() == []
    assert [
        request["verb"] for request in house.lab.requests() if request["verb"]
    ] == []


@pytest.mark.parametrize(
    ("fault", "verb"),
    [
        ("lose-reply", "image.delete"),
        ("lose-reply", "vm.delete"),
        ("forget-task", "image.delete"),
        ("forget-task", "vm.delete"),
        ("late-landing", "vm.delete"),
    ],
)
def test_a_lying_provider_changes_nothing_in_the_end(
    house: House, fault: str, verb: str
) -> None:
    house.lab.fault(fault, verb=verb, times=1)
    house.worker()
    task = house.ask(RemoveVm(vm="files01"))
    assert house.end_of(task).outcome == "ok", house.story(task)
    assert order(house) == ["image.delete"] * 4 + ["vm.delete"]
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_vm_that_is_on_is_refused(house: House) -> None:
    house.worker()
    assert house.end_of(house.ask(PowerOn(vm="files01"))).outcome == "ok"
    with pytest.raises(Rejected, match="files01 is on"):
        house.ask(RemoveVm(vm="files01"))


def test_an_image_that_a_vm_is_on_is_not_removed_alone(house: House) -> None:
    with pytest.raises(Rejected, match="files01 has a disk"):
        house.ask(RemoveImage(provider="lab", image=images_of(house)[0]))
