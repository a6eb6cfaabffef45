"""Restored (rule 15): each built-in command whose `find` asks with its request can be
asked about at the lab, also where the copy of the store has no request of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.commands import (
    DestroyOrphan,
    PowerOff,
    RefreshProvider,
    RemoveVmRecord,
    SwitchDisk,
)
from earmark.domain.command import Command
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.cancel import cancel
from earmark.engine.claim import claim
from earmark.engine.plan import plan
from earmark.engine.recover import worker_gone
from earmark.engine.runtime import Engine
from earmark.providers.lab import calls
from earmark.store import tasks
from earmark.store.schema import tasks as table
from earmark.testing.rounds import appetite
from tests.crash.inside import InsideLab
from tests.orphans.test_taking_back import Breaks, step_of, vm_that_is_off
from tests.orphans.yard import Yard

#: Asks for something that is so already if `reached`, and else is not.
Wish = Callable[[Yard, bool], Command[Any]]


@pytest.fixture
def yard(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """The lab inside the process, whose inventory is known."""
    with InsideLab(engine, tmp_path / "lab", plant=False) as lab:
        monkeypatch.setattr(calls, "exchange", lab.exchange)
        yard = Yard(engine, lab)
        yard.run(RefreshProvider(provider="lab"))
        yield yard


def power(yard: Yard, reached: bool) -> Command[Any]:
    state = "off" if reached else "on"
    vms = yard.call("GET", "/vms")["vms"]
    return PowerOff(vm=next(vm["name"] for vm in vms if vm["power_state"] == state))


def switch(yard: Yard, reached: bool) -> Command[Any]:
    vm = vm_that_is_off(yard)
    disk = vm["disks"][0]
    image = disk["image"] if reached else "another"
    return SwitchDisk(vm=vm["name"], disk=disk["alias"], image=image)


def remove(yard: Yard, reached: bool) -> Command[Any]:
    vm = vm_that_is_off(yard)
    if reached:
        yard.site.execute("DELETE FROM disks WHERE vm = ?", vm["id"])
        yard.site.execute("DELETE FROM vms WHERE id = ?", vm["id"])
    return RemoveVmRecord(vm=vm["name"])


def destroy(yard: Yard, reached: bool) -> Command[Any]:
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    if reached:
        yard.call("DELETE", f"/images/{orphan.external_id}")
    return DestroyOrphan(orphan=orphan.id)


WISHES: tuple[Wish, ...] = (power, switch, remove, destroy)


def restore(yard: Yard) -> None:
    """Simulated: what has not ended may have been sent after this copy was taken."""
    put_back = sa.update(table).where(table.c.outcome.is_(None)).values(restored=True)
    yard.engine.write(lambda tx: tx.execute(put_back))


def cancelled(yard: Yard, command: Command[Any]) -> Task:
    """Promised, put back before its `prepare`, and cancelled."""
    asked = yard.ask(command)
    (claimed,) = claim(yard.engine, appetite(yard.engine), "lost", 1)
    plan(yard.engine, claimed, describe.load(yard.engine, claimed))
    worker_gone(yard.engine, "lost", "killed")
    restore(yard)
    return cancel(yard.engine, asked.id, "ada")


def after_the_horizon(yard: Yard, asked: Task) -> Task:
    """How it is then; before that it waits for what may still arrive."""
    yard.work()
    assert yard.task(asked).state in ("waiting", "cancelling")
    yard.pass_time()
    yard.work()
    return yard.task(asked)


@pytest.mark.parametrize("wish", WISHES)
def test_what_is_so_already_has_ended_well(yard: Yard, wish: Wish) -> None:
    """By its own doing before the restore, or by another's (rule 12)."""
    asked = yard.ask(wish(yard, True))
    restore(yard)
    ended = after_the_horizon(yard, asked)
    assert ended.outcome == "ok", ended.message


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("reached", [True, False])
def test_what_was_cancelled_unprepared_is_found_out(
    yard: Yard, wish: Wish, reached: bool
) -> None:
    asked = cancelled(yard, wish(yard, reached))
    ended = after_the_horizon(yard, asked)
    assert ended.outcome == ("ok" if reached else "cancelled"), ended.message


def test_a_step_of_an_undo_whose_thing_is_gone(yard: Yard) -> None:
    """Class `absolute` as well: that it is gone counts."""
    yard.engine.commands.register(Breaks)
    root = yard.ask(Breaks(provider="lab"))
    while not yard.engine.read(lambda tx: _steps(tx, root)):
        yard.work(rounds=1)
    restore(yard)
    (tenant,) = yard.things("tenant")
    yard.call("DELETE", f"/tenants/{tenant['id']}")
    step = after_the_horizon(yard, step_of(yard, root))
    assert step.outcome == "ok", step.message
    assert yard.task(root).outcome == "failed"


def _steps(tx: Any, root: Task) -> list[Task]:
    return [part for part in tasks.children(tx, root.id) if part.undoes_id is not None]
