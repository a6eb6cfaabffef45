"""REST: the same commands and reads, for programs."""

from __future__ import annotations

from typing import Any

import httpx

from tests.peers.lab import PASSWORD

from .house import House, task_in

NAMES = {
    "id",
    "command",
    "title",
    "state",
    "outcome",
    "progress",
    "message",
    "result",
    "error",
    "object",
    "user",
    "parent",
    "zone",
    "role",
    "attempt",
    "undoes",
    "retry_of",
    "retried_by",
    "cancelled_by",
    "waiting_for",
    "created_at",
    "started_at",
    "finished_at",
    "version",
}


def post(house: House, path: str, body: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.client.post(f"/api/v1{path}", json=body or {}, headers=named)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def test_a_command_is_accepted_and_can_be_followed(house: House) -> None:
    answer = post(house, "/commands/PowerOff", {"vm": "web02"}, Idempotency_Key="a1")
    assert answer.status_code == 202
    assert answer.headers["retry-after"]
    task = answer.json()
    assert set(task) == NAMES | {"expected", "offer", "choices", "evidence"}
    assert set(house.json("/tasks")[0]) == NAMES
    assert answer.headers["location"] == f"/api/v1/tasks/{task['id']}"
    assert task["created_at"].endswith("Z")
    assert task["object"]["name"] == "web02"
    again = post(house, "/commands/PowerOff", {"vm": "web02"}, Idempotency_Key="a1")
    assert again.json()["id"] == task["id"]
    other = post(house, "/commands/PowerOn", {"vm": "web02"}, Idempotency_Key="a1")
    assert problem(other, 422)["type"] == "urn:earmark:error:key-reused"
    assert house.ended(task["id"])["outcome"] == "ok"


def test_who_prefers_to_wait_gets_the_end(house: House) -> None:
    answer = post(house, "/vms/app01/actions/stop", Prefer="wait=60")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.json()["outcome"] == "ok"
    assert house.vm("app01")["power_state"] == "off"


def test_a_task_that_has_not_changed_is_not_sent_again(house: House) -> None:
    task = house.json("/tasks")[0]
    answer = house.get(f"/api/v1/tasks/{task['id']}")
    tag = answer.headers["etag"]
    assert tag == f'W/"{task["version"]}"'
    same = house.get(f"/api/v1/tasks/{task['id']}", headers={"If-None-Match": tag})
    assert same.status_code == 304
    assert same.content == b""


def test_a_list_is_paged_by_links(house: House) -> None:
    post(house, "/vms/build01/actions/start", Prefer="wait=60")
    everything = [task["id"] for task in house.json("/tasks?limit=500")]
    seen: list[str] = []
    address: str | None = "/api/v1/tasks?limit=2"
    while address:
        answer = house.get(address)
        assert len(answer.json()) <= 2
        seen += [task["id"] for task in answer.json()]
        address = answer.links.get("next", {}).get("url")
    assert seen == everything


def test_tasks_are_narrowed(house: House) -> None:
    vm = house.vm("build01")
    path = f"/vms/{vm['id']}/actions/start"
    asked = house.post(path, idempotency_key="for-the-narrowing")
    house.ended(task_in(asked.headers["location"].partition("task=")[2]))
    found = house.json("/tasks?object=vm:build01&state=done&outcome=ok,warned")
    assert found
    assert {task["object"]["id"] for task in found} == {vm["id"]}
    assert house.json("/tasks?user=nobody") == []
    assert problem(house.get("/api/v1/tasks?object=web01"), 400)["errors"] == [
        {"pointer": "#/object", "detail": "is not KIND:ID"}
    ]
    assert "queued" in problem(house.get("/api/v1/tasks?state=x"), 400)["hint"]


def test_a_tree_and_its_log_can_be_read(house: House) -> None:
    body = {"vm": "db01", "name": "by-rest"}
    task = post(house, "/commands/AddVmTemplate", body, Prefer="wait=60").json()
    assert task["outcome"] == "ok", task
    children = house.json(f"/tasks/{task['id']}/children")
    assert [child["parent"] for child in children] == [task["id"]] * len(children)
    assert children
    log = house.json(f"/tasks/{task['id']}/log")
    assert [line["number"] for line in log] == list(range(1, len(log) + 1))
    assert house.json(f"/tasks/{task['id']}/log?after={len(log)}") == []
    assert "by-rest" in [it["name"] for it in house.json("/templates")]


def test_what_is_wrong_is_told_field_by_field(house: House) -> None:
    answer = post(house, "/commands/AddVmTemplate", {"vm": "db01", "nme": "x"})
    found = problem(answer, 400)
    assert {it["pointer"] for it in found["errors"]} == {"#/name", "#/nme"}
    assert problem(post(house, "/commands/Nothing"), 404)["hint"]
    assert problem(post(house, "/vms/web01/actions/hop"), 404)
    assert problem(house.get("/api/v1/tasks/none"), 404)
    assert problem(house.get("/api/v1/none"), 404)
    assert problem(house.get("/api/v1/tasks?limit=0"), 422)["errors"]
    garbage = house.client.post(
        "/api/v1/commands/PowerOff",
        content=b"{",
        headers={"content-type": "application/json"},
    )
    assert problem(garbage, 422)


def test_credentials_are_tried_and_never_shown(house: House) -> None:
    body = {
        "name": "trial",
        "kind": "lab",
        "settings": {"url": house.lab.url},
        "secrets": {"password": PASSWORD},
    }
    answer = post(house, "/providers/verify", body, Prefer="wait=60")
    assert answer.json()["result"]["code"] == "ok"
    assert PASSWORD not in answer.text
    assert PASSWORD.encode() not in house.stored()
    missing = post(house, "/providers/verify", body | {"secrets": {}})
    assert problem(missing, 400)["errors"] == [
        {"pointer": "#/password", "detail": "is missing"}
    ]


def test_the_description_is_openapi_3_1_and_names_every_path(house: House) -> None:
    description = house.json("/openapi.json")
    assert description["openapi"].startswith("3.1")
    assert {
        "/tasks",
        "/tasks/{task_id}",
        "/tasks/{task_id}/children",
        "/tasks/{task_id}/log",
        "/tasks/{task_id}/cancel",
        "/tasks/{task_id}/retry",
        "/tasks/{task_id}/resolve",
        "/commands",
        "/commands/{name}",
        "/vms",
        "/vms/{vm}",
        "/vms/{vm}/actions/{verb}",
        "/templates",
        "/tenants",
        "/orphans",
        "/orphans/{orphan}",
        "/orphans/{orphan}/adopt",
        "/orphans/{orphan}/destroy",
        "/sweeps",
        "/providers/{provider}/sweep",
        "/providers",
        "/providers/verify",
        "/notifications",
        "/notifications/{notification_id}/dismiss",
        "/workers",
        "/zones",
    } == set(description["paths"])
    names = [command["name"] for command in house.json("/commands")]
    assert {"PowerOff", "AddVmTemplate", "VerifyCredentials"} <= set(names)


def test_a_process_says_whether_it_is_well(house: House) -> None:
    assert house.get("/healthz").text == "ok\n"
    assert house.get("/readyz").text == "ready\n"
    assert house.json("/workers")[0]["state"] == "live"
    assert {zone["name"]: zone["workers"] for zone in house.json("/zones")}[
        "default"
    ] == 1
    assert house.json("/providers")[0]["name"] == "lab"
