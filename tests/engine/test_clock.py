"""A step of the host's clock moves nothing in a store that is a file (rule 14).

The step is simulated: the one function that reads the wall clock is replaced. Each case
is run once more with the store's time taken from the wall clock: it must move then.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.states import PlaceholderState, TaskState
from earmark.engine import recover
from earmark.engine.due import due
from earmark.engine.perform import perform
from earmark.engine.runtime import Engine
from earmark.store import clock, placeholders, tasks, workers
from earmark.store.database import Database, Transaction
from earmark.store.migrate import migrate
from earmark.store.schema import audit
from earmark.store.schema import clock as clock_table
from earmark.worker.scheduler import Scheduler
from tests.engine.world import Make, MakeTagged, ScriptedConnector, Stage
from tests.store.test_workers import register

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SOON = timedelta(milliseconds=200)


class Wall:
    """The host's wall clock, which can be set."""

    def __init__(self) -> None:
        self.off = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Only a file has a clock of its own making."""
    return f"sqlite:///{tmp_path / 'earmark.db'}"


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(clock, "wall", wall)
    return wall


@pytest.fixture(params=[True, False], ids=["steady", "as-the-hosts"])
def steady(
    request: pytest.FixtureRequest, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Whether the store has its own clock; False puts the host's in its place."""
    if not request.param:
        monkeypatch.setattr(clock, "now", lambda connection, writes: clock.wall())
    return bool(request.param)


def now(engine: Engine) -> datetime:
    return engine.read(lambda tx: tx.now)


def lead(engine: Engine, holder: str, seconds: float) -> bool:
    return engine.write(lambda tx: workers.lead(tx, "poller", holder, seconds))


def comes(probe: Callable[[], Any]) -> bool:
    """True when it comes true within a second."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        if probe():
            return True
        time.sleep(0.02)
    return False


def test_the_time_itself(engine: Engine, wall: Wall, steady: bool) -> None:
    before = now(engine)
    wall.off = HOUR
    forward = now(engine)
    wall.off = -HOUR
    back = now(engine)
    still = before <= forward <= back < before + MINUTE
    assert still == steady


def test_a_lease_does_not_end_early(engine: Engine, wall: Wall, steady: bool) -> None:
    assert lead(engine, "a", seconds=60)
    wall.off = HOUR
    assert lead(engine, "b", seconds=60) != steady


def test_a_lease_ends_in_time(engine: Engine, wall: Wall, steady: bool) -> None:
    assert lead(engine, "a", seconds=SOON.total_seconds())
    wall.off = -HOUR
    assert comes(lambda: lead(engine, "b", seconds=60)) == steady


def test_a_call_is_not_hung_early(stage: Stage, wall: Wall, steady: bool) -> None:
    stage.ask(Make(provider="p-1", what="pot"))
    stage.claim()
    wall.off = HOUR
    assert (recover.overdue(stage.engine) == 0) == steady


def test_a_hung_call_is_seen_in_time(stage: Stage, wall: Wall, steady: bool) -> None:
    stage.ask(Make(provider="p-1", what="pot"))
    (task,) = stage.claim()
    stage.engine.write(lambda tx: tasks.change(tx, task, deadline_at=tx.now + SOON))
    wall.off = -HOUR
    assert comes(lambda: recover.overdue(stage.engine)) == steady


def bound(stage: Stage, check_in: timedelta) -> None:
    """An effect under way that is to be asked about in so long."""
    stage.ask(Make(provider="p-1", what="pot"))
    (task,) = stage.claim()
    perform(stage.engine, task)
    (effect,) = stage.effects()
    stage.engine.write(
        lambda tx: placeholders.postpone(tx, [effect.id], tx.now + check_in)
    )


def is_due(stage: Stage) -> bool:
    return bool(due(stage.engine, "p-1", PlaceholderState.BOUND))


def test_a_check_is_not_due_early(stage: Stage, wall: Wall, steady: bool) -> None:
    bound(stage, check_in=MINUTE)
    wall.off = HOUR
    assert is_due(stage) != steady


def test_a_check_is_due_in_time(stage: Stage, wall: Wall, steady: bool) -> None:
    bound(stage, check_in=SOON)
    wall.off = -HOUR
    assert comes(lambda: is_due(stage)) == steady


def lose_the_answer(stage: Stage, **declared: Any) -> None:
    """One tagged effect in doubt that is not there, with this declared of it; its
    sender can send no more."""
    (connector,) = [
        c for c in stage.engine.connectors.values() if isinstance(c, ScriptedConnector)
    ]
    tagged = replace(connector.operations["tag"], **declared)
    connector.operations = {**connector.operations, "tag": tagged}

    def lose(what: str, ctx: Any) -> str:
        raise TimeoutError("no answer")

    stage.world.on_send = lose
    stage.ask(MakeTagged(provider="p-1", what="pot"))
    (task,) = stage.claim()
    perform(stage.engine, task)
    stage.world.on_send = None


def state_of_effect(stage: Stage) -> str:
    (effect,) = stage.effects()
    return str(effect.state)


def test_a_horizon_does_not_end_early(stage: Stage, wall: Wall, steady: bool) -> None:
    lose_the_answer(stage, max_in_flight=MINUTE)
    wall.off = HOUR
    stage.work()
    assert (state_of_effect(stage) == "in_doubt") == steady
    assert (stage.world.sent == ["pot"]) == steady, "it would have been sent twice"


def test_a_horizon_ends_in_time(stage: Stage, wall: Wall, steady: bool) -> None:
    lose_the_answer(stage, max_in_flight=SOON)
    wall.off = -HOUR

    def sent_again() -> bool:
        stage.work()
        return len(stage.world.sent) == 2

    assert comes(sent_again) == steady


def test_doubt_is_not_held_early(stage: Stage, wall: Wall, steady: bool) -> None:
    lose_the_answer(stage, max_in_flight=2 * HOUR, hold_after=HOUR / 2)
    wall.off = HOUR
    stage.check()
    assert (state_of_effect(stage) == "held") != steady


def test_doubt_is_held_in_time(stage: Stage, wall: Wall, steady: bool) -> None:
    lose_the_answer(stage, max_in_flight=2 * HOUR, hold_after=SOON)
    wall.off = -HOUR
    seen = comes(lambda: stage.check() and state_of_effect(stage) == "held")
    assert seen == steady


def test_the_time_is_that_of_the_first_process(
    engine: Engine, wall: Wall, database_url: str
) -> None:
    before = now(engine)
    wall.off = HOUR
    second = Database(database_url)
    try:
        assert before <= second.read(lambda tx: tx.now) < before + MINUTE
    finally:
        second.close()


def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: the boot has another name, and began just now."""
    began = time.monotonic_ns()
    monkeypatch.setattr(clock, "_boot", lambda: "another boot")
    monkeypatch.setattr(
        clock, "_since_boot", lambda: (time.monotonic_ns() - began) // 1000
    )


def test_another_boot_begins_at_the_wall_clock(
    engine: Engine, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = now(engine)
    wall.off = HOUR
    another_boot(monkeypatch)
    assert before + HOUR <= now(engine) < before + HOUR + MINUTE
    engine.write(lambda tx: tx.now)
    wall.off = 5 * HOUR
    assert now(engine) < before + HOUR + MINUTE, "the first write has set it"


def test_another_boot_never_goes_back(
    engine: Engine, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(engine, "w", "gone", days=0)
    before = now(engine)
    wall.off = -HOUR
    another_boot(monkeypatch)
    assert before - MINUTE < now(engine) < before + MINUTE
    assert engine.write(lambda tx: tx.now) > before - MINUTE


def test_before_there_is_a_schema_it_is_the_wall_clock(
    tmp_path: Path, wall: Wall
) -> None:
    wall.off = HOUR
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    try:
        assert database.read(lambda tx: tx.now) > datetime.now(UTC) + HOUR - MINUTE
        migrate(database)
        assert database.write(lambda tx: tx.now) > datetime.now(UTC) + HOUR - MINUTE
    finally:
        database.close()


def follow(stage: Stage) -> float:
    """Let the scheduler work; returns by how many hours the store's time moved."""
    before, began = now(stage.engine), time.monotonic()
    Scheduler(stage.engine, "w-1", 60).round()
    took = timedelta(seconds=time.monotonic() - began)
    return round((now(stage.engine) - before - took) / HOUR, 2)


def test_it_follows_a_mended_wall_clock_forward_only(stage: Stage, wall: Wall) -> None:
    wall.off = -HOUR
    assert follow(stage) == 0
    wall.off = HOUR
    assert follow(stage) == 1
    assert follow(stage) == 0
    actions = sa.select(audit.c.data).where(audit.c.action == "follow-clock")
    (told,) = stage.engine.read(lambda tx: tx.execute(actions).scalars().all())
    assert round(told["seconds"] / 3600, 2) == 1


def test_it_follows_only_once_nothing_is_under_way(stage: Stage, wall: Wall) -> None:
    stage.ask(Make(provider="p-1", what="pot"))
    (task,) = stage.claim()
    wall.off = HOUR
    assert follow(stage) == 0, "a task is running"
    perform(stage.engine, task)
    assert follow(stage) == 0, "an effect is under way"
    stage.work()
    assert stage.task(task).state is TaskState.DONE
    assert follow(stage) == 1


def test_a_task_that_must_start_in_time_is_given_its_time(
    stage: Stage, wall: Wall
) -> None:
    task = stage.ask(Make(provider="p-1", what="pot"))

    def dated(start_by: datetime | None) -> None:
        stage.engine.write(
            lambda tx: tasks.change(tx, stage.task(task), start_by=start_by)
        )

    dated(now(stage.engine) + HOUR / 2)
    wall.off = HOUR
    assert follow(stage) == 0
    dated(None)
    assert follow(stage) == 1


def test_one_cheap_statement_per_transaction(stage: Stage) -> None:
    seen: list[str] = []

    @sa.event.listens_for(stage.engine.database.engine, "before_cursor_execute")
    def _note(*told: Any) -> None:
        seen.append(told[2])

    def work(tx: Transaction) -> None:
        assert tx.now == tx.now

    stage.engine.write(work)
    assert [s for s in seen if clock_table.name in s] == seen[1:2]
    assert len(seen) == 2, "BEGIN, and the offset"
