"""Creating a tenant over HTTP: the form, the wait, and where it leads, with what went
well and what did not. The wait's address is all that is kept."""

from __future__ import annotations

import html

import httpx
import sqlalchemy as sa

from earmark.store.schema import tasks

from .deciding import Desk
from .house import House, key_in, task_in

VERB = "tenant.create"


def form_of(house: House, name: str, **more: str) -> dict[str, str]:
    key = key_in(house.get("/tenants/new").text)
    return {"provider": "lab", "name": name, "idempotency_key": key, **more}


def asked(house: House, name: str, **more: str) -> str:
    """Send the form; returns the address of the wait."""
    answer = house.post("/tenants", **form_of(house, name, **more))
    assert answer.status_code == 303, answer.text
    wait = answer.headers["location"]
    assert wait.endswith("/wait?next=tenant-created")
    return str(wait)


def end_of(house: House, wait: str) -> httpx.Response:
    """Where a wait leads once its task has ended."""
    house.ended(task_in(wait))
    answer = house.get(wait)
    assert answer.status_code == 303, answer.text
    return house.get(answer.headers["location"])


def text_of(answer: httpx.Response) -> str:
    return html.unescape(answer.text)


def test_an_empty_list_says_what_to_do(quiet_house: House) -> None:
    page = quiet_house.get("/tenants").text
    assert "No tenants yet" in page
    assert 'href="/tenants/new"' in page
    assert "No provider can create tenants" in quiet_house.get("/tenants/new").text


def test_a_tenant_is_created_and_said_to_be(house: House) -> None:
    page = house.get("/vms").text
    assert 'href="/tenants"' in page, "it is in the navigation"
    wait = asked(house, " research ", description="Try & throw away")
    answer = end_of(house, wait)
    assert answer.url.path == "/tenants"
    task = task_in(wait)
    assert "Tenant “research” was created." in answer.text
    assert "Try & throw away" in text_of(answer)
    assert f'<a href="/tasks/{task}">Create tenant research at lab</a>' in answer.text
    assert 'href="/providers/' in answer.text
    assert [it["name"] for it in house.lab.call("GET", "/tenants").json()["tenants"]]


def test_the_continuation_may_be_asked_for_again(house: House) -> None:
    wait = asked(house, "again")
    first, second = end_of(house, wait), end_of(house, wait)
    assert first.url == second.url
    assert "Tenant “again” was created." in second.text
    assert "Tenant “again” was created." in house.get(str(second.url)).text
    mine = [it for it in house.lab.effects(VERB) if it["token"]]
    there = house.lab.call("GET", "/tenants").json()["tenants"]
    assert len(mine) == len(there)


def test_a_form_sent_twice_is_one_tenant(house: House) -> None:
    form = form_of(house, "twice")
    waits = {house.post("/tenants", **form).headers["location"] for _ in range(2)}
    end_of(house, waits.pop())
    assert not waits
    late = house.post("/tenants", **form)
    assert late.status_code == 303, "it is asked for no more, and not refused either"
    assert "Tenant “twice” was created." in end_of(house, late.headers["location"]).text


def test_a_wrong_form_comes_back_with_its_values(house: House) -> None:
    answer = house.post("/tenants", **form_of(house, " ", description="kept words"))
    assert answer.status_code == 422
    assert answer.text.count('class="field wrong"') == 1
    assert "at least 1 character" in answer.text
    assert 'value="kept words"' in answer.text
    answer = house.post("/tenants", **form_of(house, "x" * 101))
    assert "at most 100 characters" in answer.text
    answer = house.post("/tenants", **form_of(house, "blue") | {"provider": "nobody"})
    assert answer.status_code == 422
    assert "There is no provider 'nobody'" in text_of(answer)
    assert 'value="blue"' in answer.text


def test_a_name_that_is_taken_is_said_beside_the_field(house: House) -> None:
    end_of(house, asked(house, "taken"))
    answer = house.post("/tenants", **form_of(house, "taken", description="mine"))
    assert answer.status_code == 409
    assert "is taken" in answer.text
    assert answer.text.count('class="field wrong"') == 1
    assert 'value="taken"' in answer.text
    assert 'value="mine"' in answer.text


def test_a_no_of_the_provider_leads_back_to_the_form(house: House) -> None:
    wait = asked(house, "¿no?", description="kept words")
    answer = end_of(house, wait)
    assert answer.status_code == 200
    assert answer.url.path == "/tenants/new"
    assert "Tenant “¿no?” was not created: failed." in answer.text
    assert "begins with a letter or a digit" in answer.text
    assert f'href="/tasks/{task_in(wait)}"' in answer.text
    assert 'value="¿no?"' in answer.text
    assert 'value="kept words"' in answer.text
    assert "<option selected>lab</option>" in answer.text
    assert end_of(house, wait).url == answer.url
    right = form_of(house, "yes") | {"idempotency_key": key_in(answer.text)}
    wait = house.post("/tenants", **right).headers["location"]
    assert "Tenant “yes” was created." in end_of(house, wait).text


def test_a_job_that_fails_at_the_provider_is_told_too(house: House) -> None:
    house.lab.fault("fail-task", verb=VERB, times=1)
    answer = end_of(house, asked(house, "unlucky"))
    assert "Tenant “unlucky” was not created: failed." in answer.text
    assert "no space left on domain" in answer.text


def test_who_waits_no_longer_is_told_on_the_list(house: House) -> None:
    house.lab.fault("slow", verb=VERB, times=1, seconds=1)
    wait = asked(house, "later")
    left = house.post(f"/tasks/{task_in(wait)}/background", next="tenant-created")
    address = left.headers["location"]
    page = house.get(address).text
    assert "“Create tenant later at lab” goes on in the background." in page
    house.ended(task_in(wait))
    page = house.get(address).text
    assert "Tenant “later” was created." in page


def test_a_cancelled_one_leads_back_to_the_form(quiet_house: House) -> None:
    provider = quiet_house.add_quiet_lab()
    wait = asked(quiet_house, "unwanted")
    assert quiet_house.get(wait).status_code == 200, "nobody works: it waits"
    quiet_house.post(f"/tasks/{task_in(wait)}/cancel")
    answer = end_of(quiet_house, wait)
    assert "Tenant “unwanted” was not created: cancelled." in answer.text
    assert f"<option selected>{provider.name}</option>" in answer.text


def test_the_form_goes_on_only_from_a_task_that_failed_to_create(house: House) -> None:
    wait = asked(house, "well")
    end_of(house, wait)
    assert house.get(f"/tenants/new?again={task_in(wait)}").status_code == 404
    assert house.get("/tenants/new?again=nothing").status_code == 404
    other = house.json("/tasks?command=RefreshProvider")[0]["id"]
    assert house.get(f"/tenants/new?again={other}").status_code == 404
    answer = house.get(f"/tasks/{other}/wait?next=tenant-created")
    assert answer.headers["location"] == f"/tasks/{other}"
    assert "was created" not in house.get(f"/tenants?task={other}").text


def test_one_that_is_held_leads_to_its_own_page(desk: Desk) -> None:
    """The tenant may be there: to ask again is not what is offered."""
    held = desk.held()
    desk.stage.engine.write(
        lambda tx: tx.execute(
            sa.update(tasks)
            .where(tasks.c.id == held.id)
            .values(command="CreateTenant", params={"provider": "p-1", "name": "x"})
        )
    )
    answer = desk.client.get(f"/tasks/{held.id}/wait?next=tenant-created")
    assert answer.headers["location"] == f"/tasks/{held.id}"
    desk.page(f"/tenants/new?again={held.id}", 404)


def test_a_program_does_the_same(house: House) -> None:
    def ask(name: str, **body: str) -> httpx.Response:
        return house.client.post(
            "/api/v1/commands/CreateTenant",
            json={"provider": "lab", "name": name, **body},
            headers={"Prefer": "wait=60"},
        )

    answer = ask("by-rest", description="D")
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "ok"
    (shown,) = [it for it in house.json("/tenants") if it["name"] == "by-rest"]
    assert set(shown) == {
        "id",
        "name",
        "description",
        "provider",
        "created_at",
        "task",
    }
    assert shown["task"] == answer.json()["id"]
    assert (shown["provider"], shown["description"]) == ("lab", "D")
    taken = ask("by-rest")
    assert taken.status_code == 409
    assert taken.json()["errors"] == [{"pointer": "#/name", "detail": "is taken"}]
    described = {it["name"]: it for it in house.json("/commands")}["CreateTenant"]
    assert set(described["parameters"]["properties"]) == {
        "provider",
        "name",
        "description",
    }
    document = house.json("/openapi.json")
    assert "/tenants" in document["paths"]
    assert "TenantOut" in document["components"]["schemas"]
