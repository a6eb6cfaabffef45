"""SIGKILL of a worker at every boundary of the path, both stores (invariants 1 to 8).

A real process kills itself at the boundary, exactly there; another one, started
afterwards, must bring the task to its right end with one effect at the provider.
"""

import pytest

from earmark.commands import AddVmTemplate, PowerOff, RefreshProvider
from earmark.domain.inventory import PowerState
from earmark.engine.boundary import BOUNDARIES
from earmark.engine.cancel import cancel
from earmark.store import inventory
from tests.acceptance.house import House

EXTERNAL_JOB = (
    "claim.committed",
    "plan.committed",
    "prepare.done",
    "send.committed",
    "send.answered",
    "bind.committed",
    "poll.answered",
    "settle.committed",
)
#: The three copies and the seal: each boundary once for every one of them.
TEMPLATE = (
    "claim.committed",
    "plan.committed",
    *(f"send.committed:{turn}" for turn in (1, 2, 3, 4)),
    *(f"send.answered:{turn}" for turn in (1, 2, 3, 4)),
    *(f"bind.committed:{turn}" for turn in (1, 2, 3, 4)),
    *(f"settle.committed:{turn}" for turn in (1, 2, 3, 4)),
    "finish.started",
)
#: Two copies and a half one are taken back side by side.
UNDO = (
    "undo.started",
    "undo.started:2",
    "undo.planned",
    *(f"send.committed:{turn}" for turn in (4, 5, 6)),
    *(f"send.answered:{turn}" for turn in (4, 5, 6)),
)
ACTION = ("claim.committed", "plan.committed", "act.answered", "settle.committed")


@pytest.mark.slow
@pytest.mark.parametrize("boundary", EXTERNAL_JOB)
def test_power_off_survives(house: House, boundary: str) -> None:
    task = house.ask(PowerOff(vm="web01"))
    assert house.worker(crash_at=boundary).wait() == -9
    house.worker()
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    assert house.vm("web01").power_state is PowerState.OFF
    house.assert_one_effect_each(task)
    house.assert_settled(task)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", TEMPLATE)
def test_a_template_of_three_disks_survives(house: House, boundary: str) -> None:
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.worker(crash_at=boundary).wait() == -9
    house.worker()
    ended = house.end_of(task)
    assert ended.outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)
    (template,) = house.engine.read(inventory.list_templates)
    (there,) = house.lab.call("GET", "/templates").json()["templates"]
    assert (template.external_id, list(template.images)) == (
        there["id"],
        there["images"],
    )
    assert len(template.images) == 3


@pytest.mark.slow
@pytest.mark.parametrize("boundary", UNDO)
def test_what_is_being_taken_back_survives(house: House, boundary: str) -> None:
    house.lab.fault("fail-task", verb="image.copy", times=1)
    before = house.lab.call("GET", "/images").json()
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.worker(crash_at=boundary).wait() == -9
    house.worker()
    ended = house.end_of(task)
    assert ended.outcome == "failed", house.story(task)
    assert "left_behind" not in (ended.error or {})
    assert house.lab.call("GET", "/images").json() == before
    house.assert_settled(task)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ACTION)
def test_a_refresh_survives(house: House, boundary: str) -> None:
    task = house.ask(RefreshProvider(provider="lab"))
    assert house.worker(crash_at=boundary).wait() == -9
    house.worker()
    assert house.end_of(task).outcome == "ok"
    house.assert_settled(task)


@pytest.mark.slow
def test_a_prober_survives(house: House) -> None:
    """Killed while it holds the provider's word on a request in doubt."""
    house.lab.fault("lose-reply", verb="vm.stop", times=1)
    task = house.ask(PowerOff(vm="web01"))
    assert house.worker(crash_at="probe.answered").wait() == -9
    house.worker()
    assert house.end_of(task).outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


@pytest.mark.slow
def test_who_asks_to_stop_survives(house: House) -> None:
    """Killed after the provider was asked to stop, before that was written down."""
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.worker(crash_at="bind.committed", slots=1).wait() == -9
    assert cancel(house.engine, task.id, "olivia").state == "cancelling"
    assert house.worker(crash_at="cancel.asked").wait() == -9
    house.worker()
    ended = house.end_of(task)
    assert (ended.outcome, ended.cancelled_by) == ("cancelled", "olivia")
    made = [e for e in house.lab.ledger()["effects"] if e["verb"] == "image.copy"]
    assert len(made) <= 1, "sent after the cancel"
    house.assert_settled(task)


def test_every_boundary_has_its_kill() -> None:
    of_all = (*EXTERNAL_JOB, *TEMPLATE, *ACTION, *UNDO)
    killed = {b.partition(":")[0] for b in of_all}
    assert killed | {"probe.answered", "cancel.asked"} == set(BOUNDARIES)


def test_one_kill_between_intent_and_answer(house: House) -> None:
    """The heart of it, quick enough for every day."""
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.worker(crash_at="send.answered:2").wait() == -9
    house.worker()
    assert house.end_of(task).outcome == "ok"
    house.assert_one_effect_each(task)
    house.assert_settled(task)
