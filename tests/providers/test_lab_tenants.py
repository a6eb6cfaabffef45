"""What the lab does to tenants, through its connector."""

import pytest

from earmark.domain.capabilities import InventorySource, Tenants
from earmark.domain.connector import EffectClass
from earmark.domain.errors import NotSent, Refused
from earmark.domain.inventory import ObservedTenant
from earmark.domain.outcome import Done, Failed
from earmark.providers.lab import CONNECTOR
from tests.peers.lab import LabProcess
from tests.providers.labs import end_of, site_of, token


@pytest.fixture
def tenants(lab: LabProcess) -> Tenants:
    return site_of(lab).client(Tenants, seconds=60)


def test_creation_is_deduplicated_by_token() -> None:
    assert CONNECTOR.operations["tenant.create"].effect is EffectClass.TOKEN


def test_a_tenant_is_created_once_and_listed(lab: LabProcess, tenants: Tenants) -> None:
    mark = token()
    assert tenants.find(mark) == []
    job = tenants.create("blue", "Research", token=mark)
    assert tenants.create("blue", "Research", token=mark) == job
    end = end_of(tenants, job)
    assert isinstance(end, Done)
    shown = site_of(lab).client(InventorySource).list_all().tenants
    assert shown == (ObservedTenant(end.result, "blue", "Research"),)
    lab.call("POST", f"/tasks/{job}/clear").raise_for_status()
    (found,) = tenants.find(mark)
    assert (found.id, found.mark) == (f"tenant:{end.result}", mark)
    assert tenants.jobs([found.id]) == {found.id: Done(end.result)}
    assert len(lab.effects("tenant.create")) == 1


@pytest.mark.parametrize(("name", "code"), [("blue", "name-taken"), ("?", "bad-name")])
def test_a_no_of_the_lab_is_a_definite_no(
    tenants: Tenants, name: str, code: str
) -> None:
    end_of(tenants, tenants.create("blue", "", token=token()))
    mark = token()
    with pytest.raises(Refused) as caught:
        tenants.create(name, "", token=mark)
    assert caught.value.code == code
    assert tenants.find(mark) == []


def test_a_lost_answer_is_doubt_and_the_tenant_is_found(
    lab: LabProcess, tenants: Tenants
) -> None:
    lab.fault("lose-reply", "tenant.create")
    mark = token()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        tenants.create("blue", "", token=mark)
    assert not isinstance(caught.value, NotSent | Refused)
    (found,) = tenants.find(mark)
    assert isinstance(end_of(tenants, found.id), Done)


def test_a_failure_says_why(lab: LabProcess, tenants: Tenants) -> None:
    lab.fault("fail-task", "tenant.create")
    end = end_of(tenants, tenants.create("blue", "", token=token()))
    assert isinstance(end, Failed)
    assert "no space left" in end.message
