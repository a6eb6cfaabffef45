"""The oracle notices when the engine is broken, here in one place after the other. That
it notices nothing where nothing is broken, on the same tour and with the same examples,
is what `test_oracle.py` says."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from earmark.domain.states import Step
from earmark.domain.task import Task
from earmark.engine import enqueue, judge, left_behind, plan, recover, undo, wake
from earmark.engine.end import End
from earmark.engine.runtime import Engine
from earmark.store import locks, queue, tasks
from earmark.store import undo as undo_rows
from earmark.store.sends import LONG_AGO
from tests.oracle.house import House
from tests.oracle.machine import Oracle
from tests.oracle.test_oracle import EXAMPLES, SEED, run
from tests.oracle.tour import UNDO, tour

Broken = tuple[Any, str, Callable[..., Any]]
_claimable, _count_down = queue._claimable, tasks.count_down
_to_undo = undo_rows.to_undo


def _any_role(appetite: queue.Appetite, now: Any) -> Any:
    return _claimable(replace(appetite, roles=("*",)), now)


def _ended_well(tx: Any, root: str) -> list[Any]:
    return [effect for effect in _to_undo(tx, root) if effect.ended_well]


def _end_at_once(tx: Any, root: Task, how: End) -> Task:
    return wake.end(tx, tasks.change(tx, root, step=Step.UNDO), how)


def _just_fail(tx: Any, step: Task, how: End) -> Task:
    return wake.end(tx, tasks.change(tx, step, stop_requested=True), how)


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
#: What is broken of undo, which chance alone comes to seldom.
BREAKS_OF_UNDO: dict[str, Broken] = {
    "all is taken back at once": (
        undo, "_last_done", lambda tx, root: _to_undo(tx, root.id)
    ),
    "what failed half-way is not taken back": (undo_rows, "to_undo", _ended_well),
    "a root ends, and nothing is taken back": (wake, "_begin_undo", _end_at_once),
    "a step of an undo is not tried again": (wake, "try_again_or_hold", _just_fail),
    "what came before what was left behind is taken back": (
        undo, "given_up", lambda tx, root: False
    ),
    "what was left behind is not named": (
        left_behind._Family, "_not_taken_back", lambda family: set()
    ),
}  # fmt: skip


@pytest.fixture
def house(engine: Engine) -> Iterator[House]:
    with House(engine).open() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", [*BREAKS, *BREAKS_OF_UNDO])
def test_the_oracle_notices(
    house: House, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, instead = (BREAKS | BREAKS_OF_UNDO)[what]
    monkeypatch.setattr(where, name, instead)
    Oracle.begin_counting(house)
    examples = partial(run, EXAMPLES, SEED, shrink=False)
    look = partial(tour, UNDO) if what in BREAKS_OF_UNDO else examples
    with pytest.raises(AssertionError):
        look()
