"""A provider that lies, hangs and forgets: one effect, the right end, or an honest
word (rules 2 to 4). The lab is simulated by us; the lies are its declared faults."""

from typing import Any

import pytest

from earmark.commands import AddVmTemplate, PowerOff, PowerOn, ShutdownGuest
from earmark.domain.inventory import PowerState
from earmark.store import inventory
from tests.acceptance.house import House
from tests.commands import HangsOnce, ImpatientShutdown
from tests.peers.lab import eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("lose-reply", {}),
        ("commit-then-500", {}),
        ("error-500", {}),
        ("slow", {"seconds": 1}),
        ("late-landing", {"seconds": 2}),
        pytest.param("hang", {}, marks=pytest.mark.slow),
        pytest.param("hang-after-commit", {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("verb", ["image.copy", "vm.stop"])
def test_one_effect_and_the_right_end(
    house: House, fault: str, options: dict[str, int], verb: str
) -> None:
    house.lab.fault(fault, verb=verb, times=1, **options)
    house.worker()
    copies = AddVmTemplate(vm="db01", name="golden")
    task = house.ask(copies if verb == "image.copy" else PowerOff(vm="web01"))
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_template_whose_second_disk_fails_leaves_nothing(house: House) -> None:
    """The copies that ended well are taken back, and the half one (rule 9)."""
    before = images(house)
    house.lab.fault("fail-task", verb="image.copy", times=1, after=1)
    house.worker()
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    assert ended.error is not None
    assert "no space left" in ended.message
    assert images(house) == before
    assert len(ended.error["undone"]) == 3
    assert "left_behind" not in ended.error
    family = house.family(task)
    seal = next(part for part in family if part.command == "SealTemplate")
    assert (seal.outcome, seal.attempt) == ("cancelled", 0)
    assert house.engine.read(inventory.list_templates) == []
    house.assert_settled(task)


def test_what_cannot_be_taken_back_at_once_is_tried_again(house: House) -> None:
    house.lab.fault("refuse", verb="template.create", times=1)
    house.lab.fault("refuse", verb="image.delete", times=1)
    house.worker()
    task = house.ask(AddVmTemplate(vm="web01", name="golden"))
    assert house.end_of(task).outcome == "failed", house.story(task)
    assert {it["token"] for it in images(house)} == {None}
    assert len(house.lab.requests("image.delete")) == 2
    house.assert_settled(task)


def images(house: House) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = house.lab.call("GET", "/images").json()["images"]
    return listed


def test_a_refusal_is_a_plain_failure(house: House) -> None:
    house.lab.fault("refuse", verb="vm.stop", times=1)
    house.worker()
    task = house.ask(PowerOff(vm="web01"))
    ended = house.end_of(task)
    assert (ended.outcome, house.effect_of(task).state) == ("failed", "refused")
    house.assert_settled(task)


def test_a_busy_provider_is_asked_again(house: House) -> None:
    house.lab.fault("throttle", verb="vm.stop", times=2)
    house.worker()
    task = house.ask(PowerOff(vm="web01"))
    assert house.end_of(task).outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)


def test_a_forgotten_job_is_found_by_its_image(house: House) -> None:
    house.lab.fault("forget-task", verb="image.copy", times=1)
    house.worker()
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.end_of(task).outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_ends_well_when_it_is_so_already(house: House) -> None:
    house.worker()
    task = house.ask(PowerOff(vm="db01"))
    ended = house.end_of(task)
    assert (ended.outcome, ended.message) == ("ok", "already off")
    assert house.lab.effects() == []
    house.assert_settled(task)


def test_accepted_is_not_done(house: House) -> None:
    """A guest that ignores the request stays on, and the task says so."""
    house.settings.commands = ("tests.commands",)
    house.engine.commands.register(ImpatientShutdown)
    house.worker()
    task = house.ask(ImpatientShutdown(vm="build01"))
    ended = house.end_of(task)
    assert ended.outcome == "failed"
    assert ended.error is not None
    assert ended.error["code"] == "diverged"
    assert house.vm("build01").power_state is PowerState.ON
    house.assert_settled(task)


def test_up_and_down(house: House) -> None:
    house.worker()
    for command, state in (
        (ShutdownGuest(vm="web01"), PowerState.OFF),
        (PowerOn(vm="web01"), PowerState.ON),
    ):
        assert house.end_of(house.ask(command)).outcome == "ok"
        assert house.vm("web01").power_state is state


def test_a_second_command_on_a_busy_vm_is_refused_with_the_holder(
    house: House,
) -> None:
    house.lab.fault("slow", verb="vm.stop", seconds=3)
    house.worker()
    first = house.ask(PowerOff(vm="web01"))
    eventually(lambda: house.lab.requests(verb="vm.stop"), "the first is under way")
    second = house.end_of(house.ask(PowerOn(vm="web01")))
    assert (second.outcome, second.error and second.error["code"]) == (
        "failed",
        "locked",
    )
    assert first.id in second.message
    assert "VM web01 is locked" in second.message
    assert house.end_of(first).outcome == "ok"


@pytest.mark.slow
def test_a_call_that_hangs_is_like_a_dead_one(house: House) -> None:
    """Rule 6: past its deadline it is in doubt, however alive the worker's beat; the
    thread is written off and its slot is free again."""
    house.settings.commands = ("tests.commands",)
    house.engine.commands.register(HangsOnce)
    house.worker(slots=1)
    disk = house.vm("web01").disks[0]
    task = house.ask(
        HangsOnce(provider="lab", image=disk.image, alias=disk.alias, domain="fast")
    )
    behind = house.ask(PowerOff(vm="web01"))
    assert house.end_of(behind).outcome == "ok", house.story(behind)
    assert house.end_of(task).outcome == "ok", house.story(task)
    assert "ran past its deadline" in house.story(task)
    assert "its call hangs, written off" in house.log.read_text()
