"""The oracle notices when the engine is broken, here in one place after the other."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from earmark.engine import enqueue, judge, plan, recover, wake
from earmark.engine.runtime import Engine
from earmark.store import locks, queue, tasks
from earmark.store.sends import LONG_AGO
from tests.oracle.house import House
from tests.oracle.machine import Oracle
from tests.oracle.test_oracle import run

Broken = tuple[Any, str, Callable[..., Any]]
_claimable, _count_down = queue._claimable, tasks.count_down


def _any_role(appetite: queue.Appetite, now: Any) -> Any:
    return _claimable(replace(appetite, roles=("*",)), now)


#: What is broken: where, and what is there instead.
BREAKS: dict[str, Broken] = {
    "a parent counts its children wrongly": (
        tasks, "count_down", lambda tx, it, by=1: _count_down(tx, it, 2 * by)
    ),
    "locks are not let go": (locks, "release", lambda tx, root: []),
    "nobody is woken for a lock": (tasks, "wake_waiting", lambda tx, ids: None),
    "a failure fixes no verdict": (wake, "fix_verdict", lambda tx, parent, it: None),
    "a used key tells nothing of the request": (
        enqueue, "fingerprint", lambda command: "the same"
    ),
    "a worker takes what is not of its role": (queue, "_claimable", _any_role),
    "it is sent again while it may still land": (
        judge, "landed_by", lambda made, horizon: LONG_AGO
    ),
    "what a lost worker had is always resumed": (
        recover, "_to_fail", lambda tx, task: None
    ),
    "who would wait for its locks is refused": (
        plan, "_waits", lambda task, command: False
    ),
}  # fmt: skip


@pytest.fixture
def house(engine: Engine) -> Iterator[House]:
    with House(engine).open() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", list(BREAKS))
def test_the_oracle_notices(
    house: House, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, instead = BREAKS[what]
    monkeypatch.setattr(where, name, instead)
    Oracle.begin_counting(house)
    with pytest.raises(AssertionError):
        run(40, seeded=1, shrink=False)
