"""A restart, and many VMs at once: canaries go first, and after a failure nothing more
is sent. The lab is simulated by us; its ledger proves what was never asked."""

import pytest

from earmark.commands import PowerMany, RestartVm
from earmark.domain.errors import UnknownName
from earmark.domain.inventory import PowerState
from tests.acceptance.house import House

WEB = ("web01", "web02", "app01")


def asked(house: House, verb: str) -> list[str]:
    """The names of the VMs that the lab was asked about, in order."""
    names = {
        house.lab.vm(name)["id"]: name for name in (*WEB, "build01", "db01", "cache01")
    }
    return [names[r["path"].split("/")[3]] for r in house.lab.requests(verb)]


def test_a_restart_is_off_and_then_on(house: House) -> None:
    house.worker()
    task = house.ask(RestartVm(vm="web01"))
    ended = house.end_of(task)
    assert (ended.outcome, ended.result) == ("ok", "on"), house.story(task)
    assert [e["verb"] for e in house.lab.effects()] == ["vm.stop", "vm.start"]
    assert house.vm("web01").power_state is PowerState.ON
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_restart_that_does_not_stop_does_not_start(house: House) -> None:
    house.lab.fault("refuse", verb="vm.stop", times=1)
    house.worker()
    task = house.ask(RestartVm(vm="web01"))
    ended = house.end_of(task)
    assert ended.outcome == "failed"
    assert ended.error is not None
    assert ended.error["not_done"] == ["Power off web01", "Power on web01"]
    assert house.lab.requests("vm.start") == []
    house.assert_settled(task)


def test_a_restart_of_what_is_off_starts_it(house: House) -> None:
    house.worker()
    task = house.ask(RestartVm(vm="cache01"))
    assert house.end_of(task).outcome == "ok", house.story(task)
    assert [e["verb"] for e in house.lab.effects()] == ["vm.start"]


def test_the_rest_waits_for_the_canary(house: House) -> None:
    house.lab.fault("slow", verb="vm.stop", times=1, seconds=1)
    house.worker()
    task = house.ask(PowerMany(vms=WEB, target="off"))
    ended = house.end_of(task)
    assert (ended.outcome, ended.result) == ("ok", 3), house.story(task)
    assert asked(house, "vm.stop")[0] == "web01"
    ledger = house.lab.ledger()
    (first, *others) = [r for r in ledger["requests"] if r["verb"] == "vm.stop"]
    (landed, *_) = ledger["effects"]
    assert landed["token"] == first["token"]
    assert all(other["at"] > landed["at"] for other in others)
    assert {house.vm(name).power_state for name in WEB} == {PowerState.OFF}
    house.assert_one_effect_each(task)
    house.assert_settled(task)


@pytest.mark.parametrize("which", [0, 1])
def test_a_canary_that_fails_leaves_the_rest_untouched(
    house: House, which: int
) -> None:
    """Two canaries, and either fails: only those two were ever asked about."""
    house.lab.fault("refuse", verb="vm.stop", times=1, after=which)
    house.worker()
    vms = (*WEB, "build01")
    task = house.ask(PowerMany(vms=vms, target="off", canaries=2))
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    assert set(asked(house, "vm.stop")) <= {"web01", "web02"}
    rest = {house.vm(name).id for name in ("app01", "build01")}
    untouched = [one for one in house.family(task)[1:] if one.params["vm"] in rest]
    assert [(one.outcome, one.attempt) for one in untouched] == [("cancelled", 0)] * 2
    assert ended.error is not None
    assert {"Power off app01", "Power off build01"} <= set(ended.error["not_done"])
    assert "left_behind" not in ended.error
    for name in ("app01", "build01"):
        assert house.lab.vm(name)["power_state"] == "on"
    house.assert_settled(task)


def test_a_vm_that_is_named_twice_is_asked_once(house: House) -> None:
    house.worker()
    vms = ("web01", house.vm("web01").id, "db01")
    task = house.ask(PowerMany(vms=vms, target="off", canaries=0))
    ended = house.end_of(task)
    assert (ended.outcome, ended.result) == ("ok", 2), house.story(task)
    assert asked(house, "vm.stop") == ["web01"]


def test_a_name_that_nobody_has_refuses_all(house: House) -> None:
    with pytest.raises(UnknownName, match="'nope'"):
        house.ask(PowerMany(vms=("web01", "nope"), target="off"))
    assert house.lab.requests() == []
