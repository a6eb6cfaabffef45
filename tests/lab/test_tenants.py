"""Tenants of the simulated site."""

import httpx
import pytest

from tests.peers.lab import Json, LabProcess


def create(
    lab: LabProcess, name: object = "blue", token: str | None = "t", **more: object
) -> httpx.Response:
    body = {"name": name, "token": token, **more}
    return lab.call("POST", "/tenants", json=body)


def listed(lab: LabProcess) -> list[Json]:
    found: list[Json] = lab.call("GET", "/tenants").json()["tenants"]
    return found


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_tenant_is_accepted_lands_and_is_listed(lab: LabProcess) -> None:
    answer = create(lab, description="Research")
    assert answer.status_code == 202
    task = lab.finished(answer.json()["task"])
    (tenant,) = listed(lab)
    assert task["result_data"] == {"tenant": tenant["id"]}
    assert (tenant["name"], tenant["description"]) == ("blue", "Research")
    assert tenant["token"] == "t"
    (effect,) = lab.effects("tenant.create")
    assert (effect["token"], effect["object"]) == ("t", tenant["id"])


def test_a_description_may_be_left_out(lab: LabProcess) -> None:
    lab.finished(create(lab).json()["task"])
    assert listed(lab)[0]["description"] == ""
    assert code(create(lab, "red", "u", description=7)) == (400, "bad-request")


def test_a_token_has_one_effect(lab: LabProcess) -> None:
    first, again = create(lab), create(lab)
    assert first.json() == again.json()
    lab.finished(first.json()["task"])
    assert create(lab).json() == first.json()
    assert code(create(lab, description="else")) == (409, "token-mismatch")
    assert len(listed(lab)) == 1


def test_a_name_is_taken_from_the_first_request_on(slow_lab: LabProcess) -> None:
    create(slow_lab)
    assert listed(slow_lab) == []
    assert code(create(slow_lab, token="u")) == (409, "name-taken")
    assert create(slow_lab, "red", "v").status_code == 202


def test_a_name_is_taken_while_the_tenant_is_there(lab: LabProcess) -> None:
    lab.finished(create(lab).json()["task"])
    assert code(create(lab, token="u")) == (409, "name-taken")


@pytest.mark.parametrize("name", [" blue", "-blue", "a/b", "blü", "a" * 65, "a\nb"])
def test_a_bad_name_is_refused(lab: LabProcess, name: str) -> None:
    assert code(create(lab, name)) == (409, "bad-name")
    assert listed(lab) == []


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_name_is_needed(lab: LabProcess, name: object) -> None:
    assert code(create(lab, name)) == (400, "bad-request")


def test_faults_meet_it_like_the_others(lab: LabProcess) -> None:
    lab.fault("refuse", verb="tenant.create")
    assert code(create(lab)) == (409, "refused")
    lab.fault("fail-task", verb="tenant.create")
    assert lab.finished(create(lab, token="u").json()["task"])["result"] == "failed"
    assert listed(lab) == []
    # What failed has not kept the name.
    lab.finished(create(lab, token="v").json()["task"])
    lab.fault("list-lag", times=None, seconds=60)
    assert listed(lab) == []
