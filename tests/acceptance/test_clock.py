"""The host's wall clock is set by an hour while a worker has work in flight (rule 14).

The step is simulated (see `tests/peers/stepping_clock.py`); the worker, the lab and the
store are real.
"""

from pathlib import Path

import pytest
import sqlalchemy as sa

from earmark.commands import AddVmTemplate
from earmark.domain.task import Task
from earmark.store.schema import placeholders
from tests.acceptance.house import House
from tests.peers.lab import eventually

pytestmark = pytest.mark.slow

HOUR = 3600
STEPPING = "tests.peers.stepping_clock"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Only a file has a clock of its own making."""
    return f"sqlite:///{tmp_path / 'earmark.db'}"


@pytest.fixture
def step(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says by how many seconds the workers' wall clock is off."""
    file = tmp_path / "clock-step"
    monkeypatch.setenv("EARMARK_TEST_CLOCK_STEP", str(file))
    # An hour later a look at the whole provider is due: it would be one more task.
    for regular in ("REFRESH", "SWEEP"):
        monkeypatch.setenv(f"EARMARK_{regular}_SECONDS", str(24 * HOUR))
    house.settings = house.settings.model_copy(update={"commands": (STEPPING,)})
    return file


def set_while_it_runs(house: House, step: Path, seconds: int) -> Task:
    """Ask for a template; set the clock while a copy's answer is awaited. Returns how
    it ended."""
    house.lab.fault("slow", "image.copy", seconds=2.5)
    house.worker()
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    sending = sa.select(placeholders.c.id).where(placeholders.c.state == "sending")
    eventually(
        lambda: house.engine.read(lambda tx: tx.execute(sending).all()),
        "the answer to a request is awaited",
    )
    step.write_text(str(seconds))
    return house.end_of(task, 20)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_step_moves_nothing(house: House, step: Path, seconds: int) -> None:
    ended = set_while_it_runs(house, step, seconds)
    assert ended.outcome == "ok", house.story(ended)
    assert {task.recoveries for task in house.family(ended)} == {0}
    house.assert_one_effect_each(ended)
    house.assert_settled(ended)
    assert "In doubt" not in house.story(ended)
