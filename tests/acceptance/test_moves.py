"""A disk is moved in three steps, one after the other; when one fails, the disk is on a
whole image, and the task says what was not done. Snapshots are taken once."""

import pytest

from earmark.commands import CreateSnapshot, MoveDisk, PowerOff, RemoveImage, SwitchDisk
from earmark.domain.errors import Rejected, UnknownName
from earmark.domain.inventory import Disk
from earmark.store import snapshots
from tests.acceptance.house import House
from tests.peers.lab import Json, eventually

pytestmark = pytest.mark.slow

STEPS = ["image.copy", "disk.switch", "image.delete"]


def move(domain: str = "bulk") -> MoveDisk:
    return MoveDisk(vm="db01", disk="db01-disk1", domain=domain)


def there(house: House) -> Json:
    """The disk as the lab has it."""
    found: Json = house.lab.vm("db01")["disks"][1]
    return found


def ours(house: House) -> Disk:
    """The disk as our inventory has it."""
    return house.vm("db01").disks[1]


def images(house: House) -> dict[str, str]:
    """Image → domain of everything that the lab has of this disk."""
    return {
        image["id"]: image["domain"]
        for image in house.lab.call("GET", "/images").json()["images"]
        if image["alias"] == "db01-disk1"
    }


def assert_true(house: House) -> None:
    """Our inventory says of the disk what the lab says, and its image is there."""
    disk = there(house)
    assert (ours(house).image, ours(house).domain) == (disk["image"], disk["domain"])
    assert images(house)[disk["image"]] == disk["domain"]


def test_a_disk_is_moved(house: House) -> None:
    old = ours(house).image
    house.worker()
    task = house.ask(move())
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    assert [effect["verb"] for effect in house.lab.effects()] == STEPS
    assert (there(house)["image"], there(house)["domain"]) == (ended.result, "bulk")
    assert images(house) == {ended.result: "bulk"}
    assert old not in images(house)
    assert_true(house)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        ("image.copy", "fail-task"),
        ("disk.switch", "refuse"),
        ("disk.switch", "fail-task"),
        ("image.delete", "fail-task"),
    ],
)
def test_a_step_that_fails_stops_the_later_ones(
    house: House, verb: str, fault: str
) -> None:
    old = ours(house).image
    house.lab.fault(fault, verb=verb, times=1)
    house.worker()
    task = house.ask(move())
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    done = STEPS[: STEPS.index(verb)]
    # The copy is taken back as long as the disk is not on it, and never the disk's.
    back = [] if verb == "image.delete" else ["image.delete"]
    assert [effect["verb"] for effect in house.lab.effects()] == done + back
    asked = {request["verb"] for request in house.lab.requests() if request["verb"]}
    assert asked == {*done, verb, *back}
    assert ended.error is not None
    assert len(ended.error["not_done"]) == 3 - len(done)
    assert "left_behind" not in ended.error
    assert {it["id"] for it in house.lab.call("GET", "/images").json()["images"]} >= {
        there(house)["image"]
    }
    assert (there(house)["image"] == old) == (verb != "image.delete")
    assert_true(house)
    house.assert_settled(task)


@pytest.mark.parametrize("verb", STEPS)
def test_a_lost_reply_at_any_step_is_found_out(house: House, verb: str) -> None:
    house.lab.fault("lose-reply", verb=verb, times=1)
    house.worker()
    task = house.ask(move())
    assert house.end_of(task).outcome == "ok", house.story(task)
    assert [effect["verb"] for effect in house.lab.effects()] == STEPS
    assert_true(house)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_what_cannot_be_moved_is_refused_at_once(house: House) -> None:
    with pytest.raises(Rejected, match="is in fast"):
        house.ask(move("fast"))
    with pytest.raises(UnknownName, match="it has: db01-disk0"):
        house.ask(MoveDisk(vm="db01", disk="nope", domain="bulk"))
    with pytest.raises(Rejected, match="web01 is on"):
        house.ask(MoveDisk(vm="web01", disk="web01-disk0", domain="bulk"))


def test_a_disk_that_is_on_the_image_already_is_left_alone(house: House) -> None:
    house.worker()
    task = house.ask(SwitchDisk(vm="db01", disk="db01-disk1", image=ours(house).image))
    ended = house.end_of(task)
    assert (ended.outcome, ended.message) == ("ok", "already on that image")
    assert house.lab.requests("disk.switch") == []


def test_an_image_that_the_disk_is_still_on_is_not_removed(house: House) -> None:
    """As when somebody has put the disk back before the last step of a move."""
    house.worker()
    image = ours(house).image
    task = house.ask(RemoveImage(provider="lab", image=image, vm="db01"))
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    assert "db01 has a disk on image" in ended.message
    assert house.lab.requests("image.delete") == []


@pytest.mark.parametrize("fault", [None, "lose-reply", "forget-task"])
def test_a_snapshot_is_taken_once_and_recorded(house: House, fault: str | None) -> None:
    if fault:
        house.lab.fault(fault, verb="snapshot.create", times=1)
    house.worker()
    task = house.ask(CreateSnapshot(vm="web01", name="before"))
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    (taken,) = house.lab.vm("web01")["snapshots"]
    assert ended.result == taken["id"]
    vm = house.vm("web01")
    (known,) = house.engine.read(lambda tx: snapshots.of_vm(tx, vm.id))
    assert (known.external_id, known.name) == (taken["id"], "before")
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_vm_that_is_worked_on_is_locked_by_name(house: House) -> None:
    house.lab.fault("slow", verb="snapshot.create", seconds=2)
    house.worker()
    first = house.ask(CreateSnapshot(vm="web01", name="before"))
    eventually(lambda: house.lab.requests("snapshot.create"), "the first is under way")
    second = house.end_of(house.ask(PowerOff(vm="web01")))
    assert second.error is not None
    assert second.error["code"] == "locked"
    assert "Take snapshot before of web01" in second.message
    assert house.end_of(first).outcome == "ok"
