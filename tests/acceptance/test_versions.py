"""An old and a new worker side by side, with two versions of one command: each takes,
polls, recovers and looks for what it knows, and nothing is lost (rule 19)."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.store import journal
from earmark.store.schema import workers
from tests import versions_new, versions_old
from tests.acceptance.house import House
from tests.peers.worker import WorkerProcess

OLD, NEW = ("tests.versions_old",), ("tests.versions_new",)


@pytest.fixture
def releases(house: House) -> Callable[..., WorkerProcess]:
    """Start a worker of a release."""
    for module in (*OLD, *NEW):
        house.engine.commands.register_module(module)

    def start(commands: tuple[str, ...], **options: str) -> WorkerProcess:
        house.settings.commands = commands
        return house.worker(**options)

    return start


def copy(house: House, kind: Any, **more: str) -> Task:
    vm = house.vm("web01")
    disk = vm.disks[0]
    place = {"provider": vm.provider_id, "image": disk.image, "domain": disk.domain}
    return house.ask(kind(**place, alias=disk.alias, **more))


def copy_old(house: House) -> Task:
    return copy(house, versions_old.CopyDisk)


def copy_new(house: House) -> Task:
    return copy(house, versions_new.CopyDisk, reason="it is there")


def registered(house: House) -> set[str]:
    rows = house.engine.read(lambda tx: tx.execute(sa.select(workers.c.id)).all())
    return {row.id for row in rows}


def claimed_by(house: House, task: Task) -> set[str]:
    lines = house.engine.read(lambda tx: journal.lines(tx, task.id))
    return {
        line.text.split()[3].rstrip(",.")
        for line in lines
        if line.text.startswith("Claimed by worker")
    }


@pytest.mark.slow
def test_each_takes_what_it_knows(
    house: House, releases: Callable[..., WorkerProcess]
) -> None:
    started: dict[str, str] = {}
    for name, commands in (("old", OLD), ("new", NEW)):
        releases(commands)
        (started[name],) = registered(house) - {*started.values()}
    asked = [(copy_old(house), "old") for _ in range(3)]
    asked += [(copy_new(house), "new") for _ in range(3)]
    for task, name in asked:
        ended = house.end_of(task)
        assert ended.outcome == "ok", house.story(task)
        assert claimed_by(house, task) == {started[name]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "boundary", ["claim.committed", "send.committed", "send.answered", "bind.committed"]
)
def test_what_an_old_worker_left_waits_for_the_next_old_one(
    house: House, releases: Callable[..., WorkerProcess], boundary: str
) -> None:
    """Anybody recovers it, which needs the rows alone; only who knows the version
    sends, looks for and polls it."""
    left = copy_old(house)
    assert releases(OLD, crash_at=boundary).wait() == -9
    releases(NEW)
    # The new one works at the same provider meanwhile, and touches nothing of the old.
    assert house.end_of(copy_new(house)).outcome == "ok"
    assert house.end_of(copy_new(house)).outcome == "ok"
    now = house.family(left)[0]
    assert not now.done, house.story(left)
    assert now.state in ("queued", "running", "waiting")
    releases(OLD)
    assert house.end_of(left).outcome == "ok", house.story(left)
    house.assert_settled(left)
    assert [e["token"] for e in house.lab.effects()].count(
        house.effect_of(left).id
    ) == 1
