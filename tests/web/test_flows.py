"""What people do in a browser, over HTTP, against the house as it runs."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from earmark.domain.inventory import Provider
from earmark.engine.enqueue import transact
from earmark.store import inventory
from tests.peers.lab import PASSWORD

from .house import House, key_in, task_in


def sent(house: House, response: httpx.Response) -> httpx.Response:
    """Follow the 303 of a form."""
    assert response.status_code == 303, response.text
    return house.get(response.headers["location"])


def test_a_power_off_is_queued_carried_out_and_shown(house: House) -> None:
    vm = house.vm("web01")
    page = house.get(f"/vms/{vm['id']}").text
    assert "Power off" in page
    assert f'formaction="/vms/{vm["id"]}/actions/restart"' in page
    key = key_in(page)
    answer = house.post(f"/vms/{vm['id']}/actions/stop", idempotency_key=key)
    page = sent(house, answer).text
    task_id = task_in(answer.headers["location"].partition("task=")[2])
    assert "“Power off web01”" in page
    assert f'href="/tasks/{task_id}">Follow it' in page
    assert house.ended(task_id)["outcome"] == "ok"
    assert house.vm("web01")["power_state"] == "off"
    page = house.get(f"/vms/{vm['id']}").text
    assert ">Off</span>" in page
    assert 'title="The VM was seen off; the provider is asked' in page


def test_a_form_sent_twice_is_one_wish(house: House) -> None:
    vm = house.vm("app01")
    path = f"/vms/{vm['id']}/actions/stop"
    answers = [house.post(path, idempotency_key="twice") for _ in range(3)]
    tasks = {task_in(it.headers["location"].partition("task=")[2]) for it in answers}
    assert len(tasks) == 1
    house.ended(tasks.pop())
    stops = [it for it in house.lab.effects("vm.stop") if it["object"] == _there(house)]
    assert len(stops) == 1


def _there(house: House) -> str:
    return str(house.lab.vm("app01")["id"])


def test_one_key_serves_every_button_of_a_page(house: House) -> None:
    vm = house.vm("build01")
    for verb in ("stop", "start"):
        path = f"/vms/{vm['id']}/actions/{verb}"
        answer = house.post(path, idempotency_key="one")
        house.ended(task_in(answer.headers["location"].partition("task=")[2]))
    assert house.vm("build01")["power_state"] == "on"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/vms/nobody", "There is no VM"),
        ("/tasks/nothing", "There is no task"),
        ("/tasks/nothing/wait", "There is no task"),
        ("/tasks/nothing/log", "There is no task"),
        ("/providers/nobody", "There is no provider"),
        ("/providers/new?draft=none", "This form is no longer kept"),
        ("/providers/new?kind=none", "There is no kind of provider"),
        ("/nowhere", "No page has this address"),
    ],
)
def test_what_is_not_there_is_said_clearly(house: House, path: str, words: str) -> None:
    answer = house.get(path)
    assert answer.status_code == 404
    assert words in answer.text
    assert "Traceback" not in answer.text
    assert 'class="top"' in answer.text, "the way on is on the page"


def test_a_button_that_does_not_exist_asks_for_nothing(house: House) -> None:
    vm = house.vm("web01")
    answer = house.post(f"/vms/{vm['id']}/actions/explode", idempotency_key="x")
    assert answer.status_code == 404
    assert "start, stop, shutdown" in answer.text


def test_a_wait_goes_on_only_to_names_on_the_list(house: House) -> None:
    task = house.json("/tasks")[0]
    answer = house.get(f"/tasks/{task['id']}/wait?next=https://example.org")
    assert answer.status_code == 404
    assert "No wait goes on" in answer.text


def test_a_template_is_made_of_every_disk(house: House) -> None:
    vm = house.vm("db01")
    page = house.get(f"/vms/{vm['id']}").text
    assert "Create template" in page
    answer = house.post(
        f"/vms/{vm['id']}/templates", name="golden", idempotency_key=key_in(page)
    )
    task = house.ended(task_in(answer.headers["location"]))
    assert task["outcome"] == "ok"
    page = sent(house, answer).text
    assert page.count("Copy disk") == len(vm["disks"])
    assert "Seal template golden" in page
    assert f"{len(vm['disks']) + 1} of {len(vm['disks']) + 1} ended" in page
    assert "golden" in house.get("/templates").text
    log = house.get(f"/tasks/{task['id']}/log").text
    assert "Ended ok." in log

    again = house.post(f"/vms/{vm['id']}/templates", name="golden")
    assert again.status_code == 409
    assert "There is a template named" in again.text
    assert 'value="golden"' in again.text


def test_a_template_needs_a_name(house: House) -> None:
    vm = house.vm("web01")
    answer = house.post(f"/vms/{vm['id']}/templates", name="  ")
    assert answer.status_code == 422
    assert "at least 1 character" in answer.text


def form_of(house: House, name: str, **more: str) -> dict[str, str]:
    return {
        "name": name,
        "kind": "lab",
        "zone": "default",
        "url": house.lab.url,
        "username": "operator",
        "idempotency_key": f"key-{name}",
        **more,
    }


def test_a_provider_is_verified_and_then_added(house: House) -> None:
    secret = "certainly-not-the-password"
    seen = [house.get("/providers/new?kind=lab").text]
    answer = house.post("/providers", **form_of(house, "east", password=secret))
    wait = answer.headers["location"]
    assert answer.status_code == 303
    assert wait.endswith("/wait?next=create-provider")
    house.ended(task_in(wait))

    answer = house.get(wait)
    assert answer.status_code == 303
    form = answer.headers["location"]
    seen.append(house.get(form).text)
    assert "The provider refused the credentials (auth)" in seen[-1]
    assert f'value="{house.lab.url}"' in seen[-1]
    assert 'value="east"' in seen[-1]
    seen.append(house.get("/providers").text)
    assert "“east” was not added." in seen[-1]

    draft = form.partition("draft=")[2]
    right = form_of(house, "east", draft=draft, password=PASSWORD, idempotency_key="2")
    wait = house.post("/providers", **right).headers["location"]
    house.ended(task_in(wait))
    answers = [house.get(wait), house.get(wait)]
    places = {it.headers["location"].partition("?")[0] for it in answers}
    assert len(places) == 1, "asked twice, it leads to the same place"
    seen.append(house.get(answers[0].headers["location"]).text)
    assert "“east” was verified and added." in seen[-1]
    assert house.post("/providers", **right).headers["location"] == wait

    kept = house.stored() + (house.folder / "worker.log").read_bytes()
    for clear in (secret, PASSWORD):
        assert clear.encode() not in kept
        assert not any(clear in page for page in seen)


def test_a_form_that_was_changed_is_not_taken_for_the_one_that_was_sent(
    house: House,
) -> None:
    sent_first = form_of(house, "moor", password=PASSWORD)
    house.ended(task_in(house.post("/providers", **sent_first).headers["location"]))
    answer = house.post("/providers", **sent_first | {"name": "heath"})
    assert answer.status_code == 422
    assert "Location" not in answer.headers


def test_a_setting_that_is_wrong_is_said_in_the_connectors_words(house: House) -> None:
    typed = form_of(house, "odd", password=PASSWORD) | {"url": "nonsense"}
    answer = house.post("/providers", **typed)
    assert answer.status_code == 422
    assert "the URL must begin with http:// or https://" in answer.text
    assert "Value error" not in answer.text
    assert 'value="nonsense"' in answer.text


def test_an_empty_secret_keeps_the_one_that_was_sealed(house: House) -> None:
    wrong = form_of(house, "west", password=PASSWORD, username="somebody")
    wait = house.post("/providers", **wrong).headers["location"]
    house.ended(task_in(wait))
    form = house.get(wait).headers["location"]
    assert "leave empty to keep" in house.get(form).text
    right = form_of(
        house,
        "west",
        password="",
        draft=form.partition("draft=")[2],
        idempotency_key="w2",
    )
    wait = house.post("/providers", **right).headers["location"]
    house.ended(task_in(wait))
    assert house.get(wait).headers["location"].endswith("?added=1")


def test_a_form_can_be_thrown_away_with_its_secret(house: House) -> None:
    wait = house.post("/providers", **form_of(house, "mist", password="hush"))
    house.ended(task_in(wait.headers["location"]))
    form = house.get(wait.headers["location"]).headers["location"]
    draft = form.partition("draft=")[2]
    page = sent(house, house.post(f"/notices/{draft}/dismiss"))
    assert "“mist”" not in page.text
    assert house.get(form).status_code == 404


def test_a_form_with_bad_fields_comes_back_with_its_values(house: House) -> None:
    form = form_of(house, "", url="nonsense", username="me", password="hush-hush")
    answer = house.post("/providers", **form)
    assert answer.status_code == 422
    assert answer.text.count('class="field wrong"') == 2
    assert 'value="nonsense"' in answer.text
    assert 'value="me"' in answer.text
    assert "hush-hush" not in answer.text


def test_a_name_that_is_taken_is_said_at_once_and_at_the_end(house: House) -> None:
    answer = house.post("/providers", **form_of(house, "lab", password=PASSWORD))
    assert answer.status_code == 409
    assert "is taken" in answer.text
    late = house.post("/providers", **form_of(house, "late", password=PASSWORD))
    house.ended(task_in(late.headers["location"]))
    house.add_lab("late")
    form = house.get(late.headers["location"]).headers["location"]
    assert "/providers/new?draft=" in form
    assert "is taken" in house.get(form).text


def test_a_zone_without_a_worker_is_told_at_once(house: House) -> None:
    def work(tx: Any) -> str:
        inventory.add_zone(tx.store, "north")
        far = Provider("far", "far", "lab", "north", {"url": "http://127.0.0.1:9"})
        inventory.add_provider(tx.store, far)
        values = {
            "provider_id": "far",
            "external_id": "v",
            "name": "polar01",
            "power_state": "on",
            "observed_at": tx.now,
            "command_at": None,
        }
        return str(inventory.insert_vm(tx.store, values))

    vm_id = transact(house.engine, work)
    answer = house.post(f"/vms/{vm_id}/actions/stop", idempotency_key="n")
    page = sent(house, answer).text
    assert "No live worker with role operations in zone north" in page
    task_id = task_in(answer.headers["location"].partition("task=")[2])
    assert "no live worker with role operations in zone north" in (
        house.get(f"/tasks/{task_id}/wait").text
    )
    assert "earmark worker --zone north" in house.get("/workers").text


def test_a_refresh_is_a_task_of_the_provider(house: House) -> None:
    page = house.get("/providers").text
    provider = re.search(r'formaction="(/providers/[^/]+)/refresh"', page)
    assert provider is not None
    answer = house.post(f"{provider[1]}/refresh", idempotency_key="r")
    assert "Refresh" in sent(house, answer).text


def test_lists_are_narrowed_and_paged(house: House) -> None:
    path = f"/vms/{house.vm('web02')['id']}/actions/stop"
    asked = house.post(path, idempotency_key="for-the-list")
    house.ended(task_in(asked.headers["location"].partition("task=")[2]))
    assert "Power off" in house.get("/tasks?command=PowerOff&state=done&q=power").text
    assert "No task matches" in house.get("/tasks?q=nothing-like-it").text
    answer = house.get("/tasks?state=wrong")
    assert answer.status_code == 400
    assert "There are: queued" in answer.text
    assert "web01" in house.get("/vms?q=web").text
    assert "No VM is called like that" in house.get("/vms?q=zzz").text


def test_pages_and_files_say_what_a_browser_may_keep(house: House) -> None:
    page = house.get("/vms")
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    sheet = re.search(r'href="(/static/earmark.css\?v=\w+)"', page.text)
    assert sheet is not None
    assert "immutable" in house.get(sheet[1]).headers["cache-control"]
    assert house.get("/static/../app.py").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({}, 404),
    ],
)
def test_what_comes_from_elsewhere_is_refused(
    house: House, headers: dict[str, str], status: int
) -> None:
    for path in ("/vms/x/actions/stop", "/api/v1/vms/x/actions/stop"):
        answer = house.client.post(path, headers=headers, data={"a": "b"})
        assert answer.status_code == status, path


def test_a_request_has_a_size(house: House) -> None:
    answer = house.client.post("/providers", content=b"x" * (1024 * 1024 + 1))
    assert answer.status_code == 413
