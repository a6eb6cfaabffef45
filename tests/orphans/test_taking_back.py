"""What an undo takes back at the lab: only what nobody uses by now; its rows go with
it, and whatever stays is named (rules 3, 8 and 9)."""

from collections.abc import Mapping
from typing import Any

import pytest

from earmark.commands import (
    CreateTenant,
    DestroyOrphan,
    RefreshProvider,
    SwitchDisk,
)
from earmark.domain.authoring import Results, Tx
from earmark.domain.command import Child, Command, Composite
from earmark.domain.refs import ProviderRef
from earmark.domain.task import Task
from earmark.engine import resolve
from earmark.engine.poll import check_provider
from earmark.engine.resolve import Decision
from earmark.store import tasks
from earmark.testing.rounds import hurry
from tests.crash.cases import LAB_ID
from tests.orphans.yard import Yard


class Breaks(Composite[str]):
    """Makes a tenant, or a copy of an image, and then fails."""

    title = "Break"
    provider: ProviderRef
    image: str = ""

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        made = CreateTenant(provider=self.provider, name="blue")
        return {"made": COPIES[self.image] if self.image else made}

    def finish(self, tx: Tx, results: Results) -> str:
        raise RuntimeError("the author's mistake")


COPIES: dict[str, Command[Any]] = {}


@pytest.fixture
def yard(yard: Yard) -> Yard:
    yard.engine.commands.register(Breaks)
    return yard


def copy_that_breaks(yard: Yard) -> Breaks:
    copy = yard.copy()
    COPIES[copy.image] = copy
    return Breaks(provider="lab", image=copy.image)


def step_of(yard: Yard, root: Task) -> Task:
    """The one step of a root's undo."""
    parts = yard.engine.read(lambda tx: tasks.children(tx, root.id))
    (step,) = [part for part in parts if part.undoes_id is not None]
    return step


def until_held(yard: Yard, root: Task) -> Task:
    """Work until the step of its undo is held."""
    for _ in range(20):
        yard.work()
        if step_of(yard, root).state == "held":
            break
    return step_of(yard, root)


def vm_that_is_off(yard: Yard) -> dict[str, Any]:
    vms = yard.call("GET", "/vms")["vms"]
    return next(vm for vm in vms if vm["power_state"] == "off" and vm["disks"])


def test_what_a_vm_is_on_by_now_is_not_taken_back(yard: Yard) -> None:
    """Rule 3: it was ours alone when its undo was promised, and is not any more."""
    yard.run(RefreshProvider(provider="lab"))
    yard.fault("refuse", "image.delete", times=None)
    root = yard.ask(copy_that_breaks(yard))
    step = until_held(yard, root)
    (image,) = yard.things("image")
    vm = vm_that_is_off(yard)
    disk = vm["disks"][0]["alias"]
    switch = SwitchDisk(vm=vm["name"], disk=disk, image=image["id"])
    yard.calm()
    # While its undo is open, nobody else gets it.
    refused = yard.run(switch)
    assert (refused.outcome, refused.error and refused.error["code"]) == (
        "failed",
        "locked",
    )
    resolve.resolve(yard.engine, step.id, Decision.LEAVE_BEHIND, "ada")
    yard.work()
    assert yard.run(switch).outcome == "ok"
    assert image["id"] in yard.task(root).message


def test_nor_is_an_orphan_destroyed_that_a_vm_is_on(yard: Yard) -> None:
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    vm = vm_that_is_off(yard)
    change = "UPDATE disks SET image = ? WHERE id = ?"
    yard.site.execute(change, orphan.external_id, vm["disks"][0]["id"])
    yard.run(RefreshProvider(provider="lab"))
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert (task.outcome, task.error and task.error["code"]) == ("failed", "in-use")
    assert vm["name"] in task.message
    assert len(yard.things("image")) == 2


def test_the_row_of_what_was_taken_back_goes_with_it(yard: Yard) -> None:
    root = yard.run(Breaks(provider="lab"))
    assert (root.outcome, yard.things("tenant")) == ("failed", [])
    assert yard.run(CreateTenant(provider="lab", name="blue")).outcome == "ok"


def test_what_is_being_taken_back_is_not_missing(yard: Yard) -> None:
    yard.fault("refuse", "image.delete", times=None)
    root = yard.ask(copy_that_breaks(yard))
    until_held(yard, root)
    (image,) = yard.things("image")
    yard.calm()
    yard.call("DELETE", f"/images/{image['id']}")
    yard.pass_time()
    yard.sweep()
    assert yard.swept().missing == ()


def test_one_too_many_is_named_at_the_end(yard: Yard) -> None:
    """A probe saw it; the undo takes back the one that was adopted."""
    command = copy_that_breaks(yard)
    yard.fault("ignore-tokens", "image.copy", times=None)
    yard.fault("commit-then-500", "image.copy", times=2)
    yard.fault("list-lag", "read", times=None, seconds=3600)
    root = yard.ask(command)
    yard.begin()
    yard.begin()
    yard.pass_time()
    hurry(yard.engine)
    check_provider(yard.engine, LAB_ID)
    yard.begin()
    yard.calm()
    for _ in range(5):
        yard.work()
    ended = yard.task(root)
    assert len(yard.things("image")) == 1
    assert ended.outcome == "failed"
    (line,) = (ended.error or {})["left_behind"]
    # By what a look was shown: the lab shows jobs.
    assert line.endswith(" at lab, one too many (“Copy disk one to bulk”)")
