"""Kills and stops of workers and of the lab, and its faults, under load: every task
ends, and every invariant holds. The seed is printed; it draws the same deeds again."""

from contextlib import suppress
from pathlib import Path

import pytest

from earmark.testing import invariants
from tests.crash.drawn import MOST, SEED
from tests.peers.lab import eventually
from tests.soak.houses import NewDatabase, Record, broken, fresh_house
from tests.soak.storm import Storm

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(3600)]

#: What may be left to a person: a task under which too many workers were killed.
_POISON = "workers were lost while running this"


@pytest.mark.parametrize("number", range(4))
def test_a_storm(
    new_database: NewDatabase,
    tmp_path: Path,
    record_property: Record,
    number: int,
) -> None:
    seed = SEED + number
    print(f"storm of {MOST} deeds, EARMARK_SEED={seed} for the first")
    with fresh_house(new_database(), tmp_path / "house") as house:
        finals = invariants.Finals(house.engine)
        storm = Storm(house, seed)
        for _ in range(4):
            storm.blow(MOST // 4)
            assert finals.look() == [], (seed, storm.deeds)
        storm.calm()
        with suppress(AssertionError):  # what has not ended is told below
            eventually(lambda: not invariants.unended(house.engine), seconds=180)
        wrong = [*finals.look(), *broken(house), *invariants.unended(house.engine)]
        wrong += [
            f"held: {task.message}"
            for root in storm.asked
            for task in house.family(root)
            if task.state == "held" and _POISON not in task.message
        ]
        stories = "\n".join(house.story(task) for task in storm.asked)
        assert wrong == [], f"seed {seed}\n{storm.deeds}\n{stories}"
    record_property("schedules", MOST)
