"""How long a task may take is said from past runs, and not from too few."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.engine.pace import FEWEST, Paces, pace_of, slow
from earmark.store import schema
from tests.engine.world import Make, Stage


def seconds(*lengths: int) -> list[timedelta]:
    return [timedelta(seconds=length) for length in lengths]


def test_of_few_runs_nothing_is_said() -> None:
    assert pace_of(seconds(*[1] * (FEWEST - 1))) is None
    assert pace_of(seconds(*[1] * FEWEST)) is not None


@pytest.mark.parametrize(
    ("lengths", "usual", "longest"),
    [
        ((5, 1, 4, 2, 3), 3, 5),
        ((*range(1, 101),), 50, 99),
        ((*range(1, 201),), 100, 198),
    ],
    ids=["five", "a hundred", "two hundred"],
)
def test_half_of_them_and_99_of_100(
    lengths: tuple[int, ...], usual: int, longest: int
) -> None:
    pace = pace_of(seconds(*lengths))
    assert pace is not None
    assert [pace.usual, pace.longest] == seconds(usual, longest)


def statements(stage: Stage, paces: Paces, shown: list[Any]) -> int:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1

    found = stage.engine.database.engine
    sa.event.listen(found, "before_cursor_execute", count)
    stage.engine.read(lambda tx: paces.of(tx, shown))
    sa.event.remove(found, "before_cursor_execute", count)
    return seen


def test_whoever_looks_often_asks_the_store_seldom(stage: Stage) -> None:
    shown = [stage.ask(Make(provider="p-1", what=str(n))) for n in range(20)]
    paces = Paces()
    none = statements(stage, paces, [])
    assert statements(stage, paces, shown) == none + 1
    assert statements(stage, paces, shown) == none


def test_a_run_that_takes_longer_than_all_before_is_slow(stage: Stage) -> None:
    for number in range(FEWEST):
        assert stage.run(Make(provider="p-1", what=str(number))).outcome == "ok"
    task = stage.ask(Make(provider="p-1", what="late"))
    pace = stage.engine.read(lambda tx: Paces().of(tx, [task]))[task.id]

    def is_slow() -> bool:
        now = stage.task(task)
        return stage.engine.read(lambda tx: slow(now, pace, tx))

    assert pace.runs == FEWEST
    assert not is_slow(), "it has not begun"
    stage.claim()
    long_ago = stage.task(task).created_at - pace.longest - timedelta(seconds=1)
    table = schema.tasks
    begun = sa.update(table).where(table.c.id == task.id).values(started_at=long_ago)
    stage.engine.write(lambda tx: tx.execute(begun))
    assert is_slow()
