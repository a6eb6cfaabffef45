"""A provider that lies, hangs and forgets: one effect, the right end, or an honest
word (rules 2 to 4). The lab is simulated by us; the lies are its declared faults."""

import pytest

from earmark.commands import AddVmTemplate, PowerOff, PowerOn, ShutdownGuest
from earmark.domain.inventory import PowerState
from earmark.store import inventory
from tests.acceptance.house import House
from tests.commands import HangsOnce, ImpatientShutdown
from tests.peers.lab import eventually


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


def test_a_failed_copy_fails_the_template_and_says_what_is_left(house: House) -> None:
    house.lab.fault("fail-task", verb="image.copy", times=1, after=1)
    house.worker()
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    ended = house.end_of(task)
    assert ended.outcome == "failed"
    assert ended.error is not None
    assert "no space left" in ended.message
    # Two copies ended well before the verdict could stop anything: both are named.
    images = {e["object"] for e in house.lab.effects(verb="image.copy")}
    assert len(ended.error["left_behind"]) == len(images)
    assert all(any(i in line for line in ended.error["left_behind"]) for i in images)
    seal = house.family(task)[-1]
    assert (seal.command, seal.outcome, seal.attempt) == (
        "SealTemplate",
        "cancelled",
        0,
    )
    assert house.engine.read(inventory.list_templates) == []
    house.assert_settled(task)


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
