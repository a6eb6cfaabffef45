"""Snapshots, disks on other images, and machines that are removed piece by piece."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.lab.copies import copied, image_ids, image_of
from tests.peers.lab import LabProcess, eventually


def snapshot(lab: LabProcess, token: str | None, vm: str = "web01") -> httpx.Response:
    body = {"name": "before the upgrade", "token": token}
    return lab.call("POST", f"/vms/{lab.vm(vm)['id']}/snapshots", json=body)


def switch(
    lab: LabProcess, image: str, vm: str = "db01", **body: str
) -> httpx.Response:
    machine = lab.vm(vm)
    path = f"/vms/{machine['id']}/disks/{machine['disks'][0]['id']}/switch"
    return lab.call("POST", path, json={"image": image, **body})


def remove_image(lab: LabProcess, image: str) -> None:
    task = lab.call("DELETE", f"/images/{image}", params={"token": image}).json()
    assert lab.finished(task["task"])["result"] == "ok"


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_snapshot_holds_its_token_and_is_listed(lab: LabProcess) -> None:
    task = lab.finished(snapshot(lab, "s1").json()["task"])
    (listed,) = lab.call("GET", "/snapshots").json()["snapshots"]
    assert task["result_data"] == {"snapshot": listed["id"]}
    assert (listed["name"], listed["token"]) == ("before the upgrade", "s1")
    assert listed["vm"] == lab.vm("web01")["id"]
    assert lab.vm("web01")["snapshots"] == [listed]
    assert [effect["object"] for effect in lab.effects("snapshot.create")] == [
        listed["id"]
    ]


def test_a_snapshots_token_has_one_effect(lab: LabProcess) -> None:
    first, again = snapshot(lab, "s1").json(), snapshot(lab, "s1").json()
    assert first == again
    lab.finished(first["task"])
    assert snapshot(lab, "s1").json() == first
    other = snapshot(lab, "s1", vm="web02")
    assert code(other) == (409, "token-mismatch")
    assert len(lab.vm("web01")["snapshots"]) == 1


def test_a_snapshot_may_be_listed_late(lab: LabProcess) -> None:
    lab.finished(snapshot(lab, "s1").json()["task"])
    lab.fault("list-lag", times=None, seconds=60)
    assert lab.call("GET", "/snapshots").json() == {"snapshots": []}
    assert lab.vm("web01")["snapshots"] == []


def test_snapshot_refusals(lab: LabProcess) -> None:
    nowhere = lab.call("POST", "/vms/nope/snapshots", json={"name": "x"})
    assert nowhere.status_code == 404
    vm = lab.vm("web01")["id"]
    assert code(lab.call("POST", f"/vms/{vm}/snapshots", json={})) == (
        400,
        "bad-request",
    )


def test_a_switched_disk_is_on_the_other_image(lab: LabProcess) -> None:
    old, new = image_of(lab, "db01"), copied(lab, "c")
    lab.clear_ledger()
    task = lab.finished(switch(lab, new, token="t").json()["task"])
    disk = lab.vm("db01")["disks"][0]
    assert (task["object"], disk["image"], disk["domain"]) == (disk["id"], new, "bulk")
    assert old in image_ids(lab)
    (effect,) = lab.effects()
    assert (effect["verb"], effect["token"]) == ("disk.switch", "t")


def test_switching_is_absolute(lab: LabProcess) -> None:
    task = switch(lab, image_of(lab, "db01")).json()["task"]
    assert lab.task(task)["message"] == "already on that image"
    new = copied(lab, "c")
    lab.clear_ledger()
    first, second = (switch(lab, new).json()["task"] for _ in range(2))
    assert lab.finished(first)["message"] == "the disk was switched"
    assert lab.finished(second)["message"] == "already on that image"
    assert len(lab.effects("disk.switch")) == 1


def test_switch_refusals(lab: LabProcess) -> None:
    new = copied(lab, "c")
    assert code(switch(lab, new, vm="web01")) == (409, "wrong-state")
    assert code(switch(lab, "nope")) == (409, "no-such-image")
    assert code(switch(lab, image_of(lab, "cache01"))) == (409, "in-use")
    vm = lab.vm("db01")["id"]
    path = f"/vms/{vm}/disks/nope/switch"
    assert lab.call("POST", path, json={"image": new}).status_code == 404


def test_a_switch_fails_when_the_machine_is_started_meanwhile(
    slow_lab: LabProcess,
) -> None:
    """What is accepted is looked at again when it lands."""
    old = image_of(slow_lab, "db01")
    slow_lab.options = {"copy_seconds": 0, "power_seconds": 0, "short_seconds": 2}
    slow_lab.restart()
    new = copied(slow_lab, "c")
    task = switch(slow_lab, new).json()["task"]
    slow_lab.call("POST", f"/vms/{slow_lab.vm('db01')['id']}/start")
    ended = slow_lab.finished(task)
    assert (ended["result"], ended["message"]) == (
        "failed",
        "the virtual machine is on, not off",
    )
    assert slow_lab.vm("db01")["disks"][0]["image"] == old


def test_an_image_of_a_machine_that_is_off_goes_with_its_disk(lab: LabProcess) -> None:
    images = [disk["image"] for disk in lab.vm("db01")["disks"]]
    remove_image(lab, images[1])
    left = [disk["image"] for disk in lab.vm("db01")["disks"]]
    assert left == [images[0], images[2]]
    assert images[1] not in image_ids(lab)


def test_a_machine_is_removed_after_its_images(lab: LabProcess) -> None:
    """As with VDSM: the images first, one by one, and the record last."""
    machine = lab.vm("db01")
    path = f"/vms/{machine['id']}"
    lab.finished(snapshot(lab, "s1", vm="db01").json()["task"])
    for disk in machine["disks"]:
        assert code(lab.call("DELETE", path)) == (409, "has-disks")
        remove_image(lab, disk["image"])
    lab.clear_ledger()
    first, second = (
        lab.call("DELETE", path, params={"token": token}) for token in ("d1", "d2")
    )
    assert lab.finished(first.json()["task"])["result"] == "ok"
    assert lab.finished(second.json()["task"])["message"] == "already gone"
    assert lab.call("GET", path).status_code == 404
    assert lab.call("DELETE", path).status_code == 404
    assert lab.call("GET", "/snapshots").json() == {"snapshots": []}
    effects = [(e["verb"], e["token"], e["object"]) for e in lab.effects()]
    assert effects == [("vm.delete", "d1", machine["id"])]


def test_a_running_machine_is_not_removed(lab: LabProcess) -> None:
    vm = lab.vm("web01")["id"]
    assert code(lab.call("DELETE", f"/vms/{vm}")) == (409, "wrong-state")


@pytest.mark.parametrize("verb", ["vm.delete", "disk.switch", "snapshot.create"])
def test_the_new_verbs_meet_faults_like_the_others(lab: LabProcess, verb: str) -> None:
    lab.fault("refuse", verb=verb)
    vm = lab.vm("db01")
    asked: dict[str, Callable[[], httpx.Response]] = {
        "vm.delete": lambda: lab.call("DELETE", f"/vms/{vm['id']}"),
        "disk.switch": lambda: switch(lab, "any"),
        "snapshot.create": lambda: snapshot(lab, "s"),
    }
    assert code(asked[verb]()) == (409, "refused")
    assert [request["outcome"] for request in lab.requests(verb)] == ["refused"]


def test_what_was_removed_stays_removed_over_a_crash(lab: LabProcess) -> None:
    image = image_of(lab, "cache01")
    task = lab.call("DELETE", f"/images/{image}").json()["task"]
    lab.restart()
    eventually(lambda: lab.task(task)["state"] == "finished", "the deletion")
    assert lab.vm("cache01")["disks"] == []
    assert lab.call("GET", f"/images/{image}").status_code == 404


def test_one_seed_is_a_machine_of_many_disks(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", seed="disks") as lab:
        machine = lab.vm("files01")
    assert (machine["power_state"], len(machine["disks"])) == ("off", 4)
