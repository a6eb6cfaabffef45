"""The API of the site when nothing misbehaves."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.lab.copies import copied, copy, image_ids, image_of, lasted
from tests.peers.lab import LabProcess, eventually


def test_about_says_that_it_is_simulated(lab: LabProcess) -> None:
    about = lab.call("GET", "/about").json()
    assert about["product"] == "Earmark lab (simulated)"
    assert about["site"] == "Lab"


@pytest.mark.parametrize(
    "auth", [None, ("operator", "wrong"), ("someone", "lab-password")]
)
def test_api_wants_the_password(lab: LabProcess, auth: tuple[str, str] | None) -> None:
    lab.fault("error-500", "*")
    response = httpx.get(f"{lab.url}/api/vms", auth=auth, trust_env=False)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorised"
    (request,) = lab.requests()
    assert (request["outcome"], request["status"]) == ("refused", 401)
    assert lab.faults()[0]["used"] == 0


@pytest.mark.parametrize("header", ["Basic !!", "Basic w6Q=", "Bearer x", "Basic"])
def test_odd_credentials_are_wrong_credentials(lab: LabProcess, header: str) -> None:
    response = httpx.get(
        f"{lab.url}/api/vms", headers={"Authorization": header}, trust_env=False
    )
    assert response.status_code == 401


def test_demo_seed(lab: LabProcess) -> None:
    vms = {vm["name"]: vm for vm in lab.call("GET", "/vms").json()["vms"]}
    assert set(vms) == {"web01", "web02", "app01", "db01", "cache01", "build01"}
    assert {vm["power_state"] for vm in vms.values()} == {"on", "off"}
    assert len(vms["db01"]["disks"]) == 3
    disk = vms["db01"]["disks"][0]
    assert set(disk) == {"id", "alias", "image", "size_bytes", "domain"}
    path = lab.state / "disks" / f"{disk['image']}.img"
    assert path.stat().st_size == disk["size_bytes"] >= 10 << 30
    assert path.stat().st_blocks == 0
    one = lab.call("GET", f"/vms/{vms['db01']['id']}").json()
    assert one == vms["db01"]


def test_what_is_unknown_is_not_found(lab: LabProcess) -> None:
    for method, path in [
        ("GET", "/vms/nope"),
        ("POST", "/vms/nope/stop"),
        ("GET", "/templates/nope"),
        ("DELETE", "/templates/nope"),
        ("DELETE", "/images/nope"),
        ("GET", "/tasks/nope"),
        ("POST", "/tasks/nope/stop"),
        ("GET", "/nope"),
        ("PUT", "/vms"),
    ]:
        response = lab.call(method, path)
        assert response.status_code == 404, path
        assert response.json()["code"] == "not-found"
    assert lab.requests()[0]["path"] == "/api/vms/nope"
    assert len(lab.requests()) == 9


def test_malformed_bodies_are_refused(lab: LabProcess) -> None:
    for body in [b"{", b"[]", b"{}", b'{"image": 1, "domain": "fast", "alias": "a"}']:
        response = lab.call("POST", "/images/copy", content=body)
        assert (response.status_code, response.json()["code"]) == (400, "bad-request")
    vm = lab.vm("web01")["id"]
    response = lab.call("POST", f"/vms/{vm}/stop", json={"token": 7})
    assert response.status_code == 400


def test_power_goes_through_its_transition(lab: LabProcess) -> None:
    vm = lab.vm("web01")
    response = lab.call("POST", f"/vms/{vm['id']}/stop", json={"token": "t1"})
    assert response.status_code == 202
    assert lab.vm("web01")["power_state"] == "stopping"
    task = lab.finished(response.json()["task"])
    assert (task["verb"], task["result"], task["progress"]) == ("vm.stop", "ok", 100)
    assert (task["token"], task["object"]) == ("t1", vm["id"])
    assert task["created_at"] < task["finished_at"]
    assert lab.vm("web01")["power_state"] == "off"

    lab.call("POST", f"/vms/{vm['id']}/start", json={"token": "t2"})
    assert lab.vm("web01")["power_state"] == "starting"
    eventually(lambda: lab.vm("web01")["power_state"] == "on", "the start")
    verbs = [(effect["verb"], effect["token"]) for effect in lab.effects()]
    assert verbs == [("vm.stop", "t1"), ("vm.start", "t2")]


def test_power_is_absolute(lab: LabProcess) -> None:
    vm = lab.vm("db01")["id"]
    for verb in ("stop", "shutdown"):
        task = lab.task(lab.call("POST", f"/vms/{vm}/{verb}").json()["task"])
        assert (task["state"], task["result"]) == ("finished", "ok")
        assert task["message"] == "already off"
    vm = lab.vm("web01")["id"]
    assert lab.call("POST", f"/vms/{vm}/start").status_code == 202
    assert lab.effects() == []


def test_second_stop_joins_the_first(lab: LabProcess) -> None:
    vm = lab.vm("web01")["id"]
    body = {"token": "same"}
    first, second = (
        lab.call("POST", f"/vms/{vm}/stop", json=body).json()["task"] for _ in range(2)
    )
    assert first != second
    assert lab.finished(first)["message"] == "the virtual machine is off"
    assert lab.finished(second)["message"] == "already off"
    assert len(lab.effects("vm.stop")) == 1


def test_a_joined_stop_ends_with_the_first(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", power_seconds=2) as lab:
        vm = lab.vm("web01")["id"]
        first = lab.call("POST", f"/vms/{vm}/stop").json()["task"]
        eventually(lambda: lab.task(first)["progress"] >= 50, "half of the stop")
        second = lab.call("POST", f"/vms/{vm}/stop").json()["task"]
        assert lasted(lab.finished(second)) < 1.6


def test_shutdown_asks_the_guest(lab: LabProcess) -> None:
    vm = lab.vm("web01")["id"]
    task = lab.call("POST", f"/vms/{vm}/shutdown").json()["task"]
    assert lab.finished(task)["result"] == "ok"
    assert lab.vm("web01")["power_state"] == "off"


def test_a_guest_may_ignore_shutdown(lab: LabProcess) -> None:
    vm = lab.vm("build01")["id"]
    task = lab.call("POST", f"/vms/{vm}/shutdown").json()["task"]
    assert lab.vm("build01")["power_state"] == "on"
    assert lab.finished(task)["result"] == "ok"
    assert lab.vm("build01")["power_state"] == "on"
    assert lab.effects() == []
    lab.finished(lab.call("POST", f"/vms/{vm}/stop").json()["task"])
    assert lab.vm("build01")["power_state"] == "off"


def test_stop_overtakes_a_start(slow_lab: LabProcess) -> None:
    vm = slow_lab.vm("db01")["id"]
    start = slow_lab.call("POST", f"/vms/{vm}/start").json()["task"]
    refused = slow_lab.call("POST", f"/vms/{vm}/shutdown")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-state")
    slow_lab.call("POST", f"/vms/{vm}/stop")
    task = slow_lab.task(start)
    assert (task["state"], task["result"]) == ("finished", "aborted")
    assert slow_lab.vm("db01")["power_state"] == "stopping"
    assert slow_lab.call("POST", f"/vms/{vm}/start").status_code == 409


def test_copy_lands_as_an_image(lab: LabProcess) -> None:
    before = image_ids(lab)
    response = copy(lab, "t1", alias="web01-copy")
    assert response.status_code == 202
    running = lab.task(response.json()["task"])
    assert running["state"] in ("init", "running")
    assert running["result"] is None
    assert running["result_data"] is None
    assert 0 <= running["progress"] < 100
    assert image_ids(lab) == before

    task = lab.finished(running["id"])
    (new,) = image_ids(lab) - before
    assert task["result_data"] == {"image": new}
    (image,) = [
        image
        for image in lab.call("GET", "/images").json()["images"]
        if image["id"] == new
    ]
    assert (image["alias"], image["domain"]) == ("web01-copy", "bulk")
    assert image["token"] == "t1"
    path = lab.state / "disks" / f"{new}.img"
    assert path.stat().st_size == image["size_bytes"]
    (effect,) = lab.effects()
    assert effect["object"] == new


def test_a_token_has_one_effect_however_often_it_comes(lab: LabProcess) -> None:
    image = image_of(lab)

    def post(_: int) -> httpx.Response:
        body = {"image": image, "domain": "fast", "alias": "a", "token": "once"}
        return httpx.post(
            f"{lab.url}/api/images/copy", json=body, auth=lab.auth, trust_env=False
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["task"] for answer in answers}) == 1
    lab.finished(answers[0].json()["task"])
    assert len(lab.effects("image.copy", "once")) == 1
    assert post(0).status_code == 200
    assert len(lab.requests("image.copy", "once")) == 9


def test_a_token_is_for_one_request(lab: LabProcess) -> None:
    first = copy(lab, "t", alias="one")
    other = copy(lab, "t", alias="two")
    assert (other.status_code, other.json()["code"]) == (409, "token-mismatch")
    lab.finished(first.json()["task"])
    lab.call("POST", f"/tasks/{first.json()['task']}/clear")
    again = copy(lab, "t", alias="one")
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(lab.effects()) == 1


def test_copies_without_a_token_are_not_deduplicated(lab: LabProcess) -> None:
    assert copy(lab, None).json()["task"] != copy(lab, None).json()["task"]


def test_copy_refusals(lab: LabProcess) -> None:
    response = copy(lab, "t", domain="nowhere")
    assert (response.status_code, response.json()["code"]) == (409, "no-such-domain")
    body = {"image": "nope", "domain": "fast", "alias": "a", "token": "t"}
    assert lab.call("POST", "/images/copy", json=body).status_code == 404
    # A refusal does not use the token up.
    assert copy(lab, "t").status_code == 202


def test_image_is_deleted_once(lab: LabProcess) -> None:
    image = copied(lab, "t")
    lab.clear_ledger()
    first, second = (
        lab.call("DELETE", f"/images/{image}", params={"token": token})
        for token in ("d1", "d2")
    )
    assert first.status_code == second.status_code == 202
    assert lab.finished(first.json()["task"])["result"] == "ok"
    assert lab.finished(second.json()["task"])["message"] == "already gone"
    assert image not in image_ids(lab)
    assert not (lab.state / "disks" / f"{image}.img").exists()
    assert [effect["token"] for effect in lab.effects("image.delete")] == ["d1"]
    assert lab.call("DELETE", f"/images/{image}").status_code == 404


def test_image_in_use_is_not_deleted(lab: LabProcess) -> None:
    response = lab.call("DELETE", f"/images/{image_of(lab)}")
    assert (response.status_code, response.json()["code"]) == (409, "in-use")


def test_template_life(lab: LabProcess) -> None:
    vm, image = lab.vm("web01")["id"], copied(lab, "c")
    body = {"name": "web", "vm": vm, "images": [image], "token": "t"}
    response = lab.call("POST", "/templates", json=body)
    assert response.status_code == 202
    taken = lab.call("POST", "/templates", json=body | {"token": "other"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name-taken")
    template = lab.finished(response.json()["task"])["result_data"]["template"]
    again = lab.call("POST", "/templates", json=body)
    assert (again.status_code, again.json()) == (200, response.json())
    mismatch = lab.call("POST", "/templates", json=body | {"name": "x"})
    assert mismatch.json()["code"] == "token-mismatch"

    shown = lab.call("GET", f"/templates/{template}").json()
    assert shown.items() >= body.items()
    assert lab.call("GET", "/templates").json() == {"templates": [shown]}
    assert lab.call("DELETE", f"/images/{image}").json()["code"] == "in-use"
    gone = lab.call("DELETE", f"/templates/{template}").json()["task"]
    assert lab.finished(gone)["result"] == "ok"
    assert lab.call("GET", f"/templates/{template}").status_code == 404
    assert [effect["verb"] for effect in lab.effects()] == [
        "image.copy",
        "template.create",
        "template.delete",
    ]


def test_template_refusals(lab: LabProcess) -> None:
    vm = lab.vm("web01")["id"]
    body = {"name": "web", "vm": vm, "images": ["nope"], "token": "t"}
    response = lab.call("POST", "/templates", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "no-such-image")
    body |= {"vm": "nope", "images": [image_of(lab)]}
    response = lab.call("POST", "/templates", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "no-such-vm")


def test_tasks_are_found_by_token_and_by_ids(lab: LabProcess) -> None:
    one, two, three = (copy(lab, token).json()["task"] for token in "abc")

    def listed(**query: str) -> list[str]:
        tasks = lab.call("GET", "/tasks", params=query).json()["tasks"]
        return [task["id"] for task in tasks]

    assert listed() == [one, two, three]
    assert listed(token="b") == [two]
    assert listed(token="nope") == []
    assert listed(ids=f"{one},{three},nope") == [one, three]
    assert lab.requests(token="nope")[0]["path"] == "/api/tasks"


def test_stopped_copy_leaves_nothing(lab: LabProcess) -> None:
    before = image_ids(lab)
    task = copy(lab, "t").json()["task"]
    assert lab.call("POST", f"/tasks/{task}/stop").status_code == 200
    seen = {lab.task(task)["state"]}

    def done() -> bool:
        seen.add(lab.task(task)["state"])
        return "finished" in seen

    eventually(done, "the abort")
    assert seen == {"aborting", "cleaning", "finished"}
    ended = lab.task(task)
    assert ended["result"] == "aborted"
    assert ended["progress"] < 100
    assert image_ids(lab) == before
    assert lab.effects() == []


def test_stop_of_a_finished_task_is_ignored(lab: LabProcess) -> None:
    image = copied(lab, "t")
    (task,) = lab.call("GET", "/tasks", params={"token": "t"}).json()["tasks"]
    assert lab.call("POST", f"/tasks/{task['id']}/stop").status_code == 200
    assert lab.task(task["id"]) == task
    assert image in image_ids(lab)


def test_stopped_power_task_leaves_the_machine_as_it_was(slow_lab: LabProcess) -> None:
    vm = slow_lab.vm("web01")["id"]
    task = slow_lab.call("POST", f"/vms/{vm}/stop").json()["task"]
    slow_lab.call("POST", f"/tasks/{task}/stop")
    assert slow_lab.finished(task)["result"] == "aborted"
    assert slow_lab.vm("web01")["power_state"] == "on"


def test_revert_and_clear_only_when_done(lab: LabProcess) -> None:
    task = copy(lab, "t").json()["task"]
    for action in ("revert", "clear"):
        response = lab.call("POST", f"/tasks/{task}/{action}")
        assert (response.status_code, response.json()["code"]) == (409, "not-done")
    image = lab.finished(task)["result_data"]["image"]
    for _ in range(2):
        assert lab.call("POST", f"/tasks/{task}/revert").status_code == 200
    assert image not in image_ids(lab)
    assert [effect["object"] for effect in lab.effects("task.revert")] == [image]
    assert lab.call("POST", f"/tasks/{task}/clear").status_code == 200
    assert lab.call("GET", f"/tasks/{task}").status_code == 404
    assert lab.call("GET", "/tasks").json() == {"tasks": []}


def test_only_copies_are_reverted(lab: LabProcess) -> None:
    vm = lab.vm("db01")["id"]
    task = lab.call("POST", f"/vms/{vm}/stop").json()["task"]
    response = lab.call("POST", f"/tasks/{task}/revert")
    assert (response.status_code, response.json()["code"]) == (409, "not-revertible")


def test_requests_are_in_the_ledger_in_order(lab: LabProcess) -> None:
    lab.call("GET", "/tasks", params={"token": "t"})
    copy(lab, "t")
    read, _, change = lab.requests()
    assert (read["method"], read["path"], read["verb"], read["token"]) == (
        "GET",
        "/api/tasks",
        None,
        "t",
    )
    assert (change["verb"], change["outcome"], change["status"]) == (
        "image.copy",
        "answered",
        202,
    )
    assert read["seq"] < change["seq"]
    lab.clear_ledger()
    assert lab.ledger() == {"requests": [], "effects": []}
    lab.call("GET", "/vms")
    assert lab.requests()[0]["seq"] > change["seq"]


def test_console_shows_the_site(lab: LabProcess) -> None:
    copy(lab, "t")
    page = httpx.get(lab.url, trust_env=False)
    assert page.headers["content-type"].startswith("text/html")
    for word in ("simulated site", "db01", "build01", "image.copy"):
        assert word in page.text


def test_other_host_names_are_refused(lab: LabProcess) -> None:
    response = httpx.get(
        f"{lab.url}/lab", headers={"Host": "evil.example"}, trust_env=False
    )
    assert response.status_code == 400
