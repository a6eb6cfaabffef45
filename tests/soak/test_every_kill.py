"""Real SIGKILL at every boundary of every product command, each time it is met."""

from pathlib import Path

import pytest

from earmark.domain.task import Task
from earmark.engine.boundary import BOUNDARIES
from earmark.store import tasks
from earmark.testing import invariants
from tests.acceptance.house import House
from tests.crash.cases import PRODUCT
from tests.crash.schedules import Case
from tests.peers.lab import eventually
from tests.soak.houses import NewDatabase, Record, broken, fresh_house

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(1800)]

#: A job is polled as often as it takes; each other boundary is met less often.
_MOST_TURNS = 12


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("case", PRODUCT, ids=str)
def test_killed_there_each_time(
    new_database: NewDatabase,
    tmp_path: Path,
    record_property: Record,
    case: Case,
    boundary: str,
) -> None:
    tried = 0
    for turn in range(1, _MOST_TURNS + 1):
        with fresh_house(new_database(), tmp_path / str(turn)) as house:
            if not _killed(house, case, f"{boundary}:{turn}"):
                break
            tried += 1
    record_property("schedules", tried)


def _killed(house: House, case: Case, at: str) -> bool:
    """Run it with a worker that dies there; False when it never came there."""
    if _needs_doubt(at):
        for verb in ("vm.stop", "vm.start", "image.copy"):
            house.lab.fault("lose-reply", verb=verb, times=1)
    task = house.ask(case.make(house.lab.url))
    first = house.worker(crash_at=at)

    def over() -> Task | bool:
        return not first.running() or _now(house, task).done

    eventually(over, f"{case}, killed at {at}", seconds=60)
    if first.running():
        return False
    assert first.wait() == -9
    house.worker()
    ended = house.end_of(task, 60)
    wrong = [*broken(house), *invariants.unended(house.engine)]
    assert (ended.outcome, wrong) == (case.ends, []), f"{at}\n{house.story(task)}"
    return True


def _needs_doubt(at: str) -> bool:
    """Only what is in doubt is probed."""
    return at.startswith("probe.")


def _now(house: House, task: Task) -> Task:
    return house.engine.read(lambda tx: tasks.get(tx, task.id))
