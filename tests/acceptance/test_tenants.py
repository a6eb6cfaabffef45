"""A tenant is created once, whatever the provider does, and is in the inventory with
the task that made it; a name that is taken is refused before anything is sent."""

import pytest

from earmark.commands import CreateTenant, RefreshProvider
from earmark.domain.errors import BadInput, NameTaken
from earmark.domain.inventory import Provider, Tenant
from earmark.store import inventory, tenants
from tests.acceptance.house import House
from tests.peers.lab import eventually

VERB = "tenant.create"


def create(name: str = "blue", description: str = "Research") -> CreateTenant:
    return CreateTenant(provider="lab", name=name, description=description)


def ours(house: House) -> list[Tenant]:
    return house.engine.read(tenants.list_tenants)


@pytest.mark.parametrize(
    "fault", [None, "lose-reply", "commit-then-500", "forget-task"]
)
def test_a_tenant_is_created_once_and_recorded(house: House, fault: str | None) -> None:
    if fault:
        house.lab.fault(fault, verb=VERB, times=1)
    house.worker()
    task = house.ask(create())
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    (there,) = house.lab.call("GET", "/tenants").json()["tenants"]
    (known,) = ours(house)
    assert ended.result == known.external_id == there["id"]
    assert (known.name, known.description) == ("blue", "Research")
    assert known.task_id == task.id
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_refresh_leaves_it_as_it_is(house: House) -> None:
    house.worker()
    task = house.ask(create())
    house.end_of(task)
    house.lab.call("POST", "/tenants", json={"name": "theirs"}).raise_for_status()

    def refreshed() -> bool:
        house.end_of(house.ask(RefreshProvider(provider="lab")))
        return len(ours(house)) == 2

    eventually(refreshed, "the other one is listed")
    assert [(it.name, it.task_id) for it in ours(house)] == [
        ("blue", task.id),
        ("theirs", None),
    ]


def test_a_name_that_is_taken_is_refused_at_once(house: House) -> None:
    house.worker()
    house.end_of(house.ask(create()))
    with pytest.raises(NameTaken, match="lab has a tenant named 'blue'") as caught:
        house.ask(create("  blue "))
    assert caught.value.fields == {"name": "is taken"}
    assert len(house.lab.requests(VERB)) == 1


def test_the_same_name_twice_at_once_names_who_has_it(house: House) -> None:
    house.lab.fault("slow", verb=VERB, seconds=2)
    house.worker()
    first = house.ask(create())
    eventually(lambda: house.lab.requests(VERB), "the first is under way")
    second = house.end_of(house.ask(create(description="another")))
    assert second.error is not None
    assert second.error["code"] == "locked"
    assert "Tenant name lab/blue is locked by “Create tenant blue at lab”" in (
        second.message
    )
    assert house.end_of(first).outcome == "ok"
    assert len(house.lab.effects(VERB)) == 1


def test_what_the_provider_refuses_is_said_in_its_words(house: House) -> None:
    house.worker()
    task = house.ask(create("¿blue?"))
    ended = house.end_of(task)
    assert ended.outcome == "failed"
    assert "begins with a letter or a digit" in ended.message
    assert ours(house) == []
    house.assert_settled(task)


def test_a_name_of_nothing_but_blanks_is_no_name() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        create("  ")


def test_a_kind_that_has_no_tenants_says_so_before_anything_is_queued(
    house: House,
) -> None:
    aws = Provider("aws", "aws", "ec2", "default", {})
    house.engine.write(lambda tx: inventory.add_provider(tx, aws))
    with pytest.raises(BadInput, match="aws is of kind ec2, which cannot do"):
        house.ask(CreateTenant(provider="aws", name="blue"))
