"""Random kills, stops and cuts under load, and a lab that misbehaves: nothing is lost,
doubled, stuck or unexplained, and every invariant holds. `make soak` does more of it;
EARMARK_SEED draws other deeds."""

from pathlib import Path

import pytest

from tests.crash.drawn import SEED
from tests.soak import block
from tests.soak.block import Which
from tests.soak.figures import Figures
from tests.soak.houses import NewDatabase, Record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: Blocks on each store.
_BLOCKS = 3
_LIES = 20
#: Only what comes late and was sent again is there twice, and chance decides what comes
#: late: it has so many blocks for that.
_CHANCES = 5


@pytest.mark.parametrize("number", range(_BLOCKS))
def test_a_block(
    new_database: NewDatabase, tmp_path: Path, record_property: Record, number: int
) -> None:
    url = new_database()
    store = url.partition(":")[0].replace("postgresql", "postgres")
    which = Which(SEED, number, store)
    _run(which, url, tmp_path)
    record_property("schedules", which.size)


def test_what_a_lying_lab_doubles_is_listed(
    tmp_path: Path, record_property: Record
) -> None:
    """It forgets the tokens that it promised to know (invariant 4)."""
    for chance in range(1, _CHANCES + 1):
        which = Which(SEED, _BLOCKS + chance, "sqlite", _LIES, lying=True)
        folder = tmp_path / str(chance)
        folder.mkdir()
        figures = _run(which, f"sqlite:///{folder / 'lied-to.db'}", folder)
        if figures.done["lies listed"]:
            record_property("schedules", chance * which.size)
            return
    pytest.fail("nothing was ever done twice: it proves nothing")


def _run(which: Which, url: str, folder: Path) -> Figures:
    house = folder / "house"
    house.mkdir()
    report = block.run(which, url, house)
    print(report.figures.line())
    assert report.wrong == [], report.told
    return report.figures
