"""What is asked every second is answered from an index, on both stores."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import TaskFilter, list_tasks, unfinished
from earmark.engine.runtime import Engine
from earmark.store import durations, queue, tasks
from earmark.store.database import Database, Transaction
from earmark.web.reading import tasks as reading
from tests.conftest import BOTH_STORES, migrate_copy
from tests.peers.postgres import PostgresPeer
from tests.store.test_queue import KNOWN, row

pytestmark = pytest.mark.slow

MANY = 3000
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ENDED: dict[str, Any] = {
    "state": TaskState.DONE,
    "outcome": Outcome.OK,
    "started_at": NEW_YEAR,
    "finished_at": NEW_YEAR,
}
EVERYTHING = queue.Appetite("default", ("*",), KNOWN)
STORAGE = queue.Appetite("default", ("storage",), KNOWN)


def fill(url: str) -> None:
    """A history, a queue, and children."""
    migrate_copy(url)
    roots = [
        row(
            **ENDED,
            provider_id=f"p-{number % 2}" if number % 30 else None,
            object_kind="vm",
            object_id=f"vm-{number % 2}",
        )
        for number in range(MANY)
    ]
    children = [
        row(**ENDED, provider_id="p-9", root_id=it["id"], parent_id=it["id"], key="a")
        for it in roots
    ]
    every = [*roots, *children, *(row() for _ in range(MANY // 10))]
    database = Database(url, listen=False)
    database.write(lambda tx: tasks.insert(tx, every))
    database.close()


@pytest.fixture(scope="module")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filled") / "earmark.db"
    fill(f"sqlite:///{file}")
    return file


@pytest.fixture(params=BOTH_STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A copy of one that is filled, which takes a while."""
    if request.param == "sqlite":
        file = tmp_path / "earmark.db"
        shutil.copyfile(request.getfixturevalue("filled_file"), file)
        return f"sqlite:///{file}"
    peer: PostgresPeer = request.getfixturevalue("postgres")
    return peer.copy_of(fill)


@pytest.fixture(params=["measured", "never measured"])
def full(engine: Engine, request: pytest.FixtureRequest) -> Engine:
    """The engine on it; with the store's statistics or without."""
    database = engine.database
    if request.param == "measured":
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    elif database.file is None:
        pytest.skip("PostgreSQL measures by itself")
    return engine


def plan(engine: Engine, work: Callable[[Transaction], Any]) -> str:
    """How the store goes about the last SELECT of `work`."""
    return plans(engine, work)[-1]


def plans(engine: Engine, work: Callable[[Transaction], Any]) -> list[str]:
    """How the store goes about each SELECT of `work` from the tasks."""
    said: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, text: str, values: Any, *_: object) -> None:
        if text.startswith("SELECT earmark_tasks") or "FROM earmark_tasks" in text:
            said.append((text, values))

    found = engine.database.engine
    sa.event.listen(found, "before_cursor_execute", note)
    engine.read(work)
    sa.event.remove(found, "before_cursor_execute", note)
    explain = "EXPLAIN" if found.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    told = []
    with found.connect() as connection:
        for text, values in said:
            lines = connection.exec_driver_sql(f"{explain} {text}", values).all()
            told.append("\n".join(str(line[-1]) for line in lines))
    return told


@pytest.mark.parametrize("appetite", [EVERYTHING, STORAGE], ids=["all", "a role"])
def test_the_claim(full: Engine, appetite: queue.Appetite) -> None:
    """The choice of a claim, which is all of it that can be slow."""

    def choose(tx: Transaction) -> None:
        tx.execute(queue.chosen(appetite, tx.now, 8))

    found = plan(full, choose)
    assert "ix_earmark_tasks_claim" in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize("appetite", [EVERYTHING, STORAGE], ids=["all", "a role"])
def test_whether_there_is_anything(full: Engine, appetite: queue.Appetite) -> None:
    found = plan(full, lambda tx: queue.anything_for(tx, appetite))
    assert "ix_earmark_tasks_claim" in found


def test_when_the_next_is_due(full: Engine) -> None:
    found = plan(full, lambda tx: queue.next_due(tx, EVERYTHING))
    assert "ix_earmark_tasks_due" in found


def test_the_first_page_of_the_list(full: Engine) -> None:
    found = plan(full, lambda tx: list_tasks(tx, TaskFilter()))
    assert "ix_earmark_tasks_roots" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


def test_a_page_in_the_middle_of_the_list(full: Engine) -> None:
    newest = full.read(lambda tx: list_tasks(tx, TaskFilter(), 1))[0].id
    found = plan(full, lambda tx: list_tasks(tx, TaskFilter(before=newest)))
    assert "ix_earmark_tasks_roots" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (TaskFilter(outcomes=(Outcome.FAILED,)), "outcome"),
        (TaskFilter(command="Other"), "command"),
        (TaskFilter(owner="eve"), "owner"),
        (TaskFilter(zone="east"), "zone"),
        (TaskFilter(states=(TaskState.HELD,)), "state"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_narrowed_list(full: Engine, which: TaskFilter, index: str) -> None:
    """The ended ones in the order of an index, so that a page is all that is read; the
    open ones, which are few, from an index."""
    first, *others = plans(full, lambda tx: list_tasks(tx, which))
    assert f"ix_earmark_tasks_{index}" in first
    assert "Sort" not in first
    assert "TEMP B-TREE" not in first
    for one in others:
        assert "ix_earmark_tasks_" in one


def test_a_list_in_time(full: Engine) -> None:
    """It begins near the time, by the ids."""
    now = full.read(lambda tx: tx.now)
    which = TaskFilter(created_before=now - timedelta(days=1))
    found = plan(full, lambda tx: list_tasks(tx, which))
    assert "(id<?)" in found or "Index Cond: ((id)::text <" in found or "id <" in found


def test_the_children_of_one(full: Engine) -> None:
    some = full.read(lambda tx: list_tasks(tx, TaskFilter(), 1))[0].id
    found = plan(full, lambda tx: tasks.children(tx, some))
    assert "ix_earmark_tasks_parent" in found


@pytest.mark.parametrize("provider", ["p-1", None], ids=["of one", "of none"])
def test_what_past_runs_took(
    full: Engine, provider: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are many: a few may as well be sorted."""
    monkeypatch.setattr(durations, "RUNS", 8)
    found = plan(full, lambda tx: durations.took(tx, [("Noop", provider)]))
    assert "ix_earmark_tasks_pace" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize("roles", [("operations",), ("a", "operations"), ("*",)])
def test_the_places_in_a_line(
    full: Engine, roles: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the line is long: a short one may as well be sorted."""
    monkeypatch.setattr(queue, "LINE", 8)
    found = plan(full, lambda tx: queue.places(tx, {("default", "operations"): roles}))
    assert "ix_earmark_tasks_claim" in found
    assert "TEMP B-TREE" not in found


def test_the_newest_that_was_done_to_an_object(
    full: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from its end, however much was done to it."""
    monkeypatch.setattr(reading, "RECENT", 3)
    found = plans(full, lambda tx: reading.recent_on(tx, "vm", ["vm-0", "vm-1"]))[0]
    assert "ix_earmark_tasks_object" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


def test_what_is_being_done_to_objects(full: Engine) -> None:
    """What has ended is not looked at."""
    found = plans(full, lambda tx: reading.busy_on(tx, "vm", ["vm-0", "vm-1"]))[0]
    assert "ix_earmark_tasks_busy" in found


def test_whether_an_object_is_busy(full: Engine) -> None:
    found = plan(full, lambda tx: unfinished(tx, "Noop", "vm", "vm-0"))
    assert "ix_earmark_tasks_busy" in found
