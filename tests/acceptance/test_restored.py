"""The whole house is put back to an older copy of its store, and does nothing twice
(rule 15): what it asks for again has the same tokens, and is looked for first."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from earmark.commands import AddVmTemplate
from tests.acceptance.house import House

#: What the copy does not know yet: everything; the third copy and the seal; the end.
INSTANTS = ("claim.committed", "send.committed:2", "bind.committed:3", "finish.started")


def copy(of: Path, to: Path) -> None:
    """As `sqlite3 earmark.db .backup`, under whatever runs."""
    with closing(sqlite3.connect(of)) as a, closing(sqlite3.connect(to)) as b:
        b.execute("PRAGMA busy_timeout = 10000")
        a.backup(b)


@pytest.mark.slow
@pytest.mark.parametrize("instant", INSTANTS)
def test_nothing_is_done_twice(house: House, instant: str, tmp_path: Path) -> None:
    file, old = house.engine.database.file, tmp_path / "old.db"
    if file is None:
        pytest.skip("a server's copies are simulated in tests/engine and tests/store")
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    assert house.worker(crash_at=instant).wait() == -9
    copy(file, old)
    goes_on = house.worker()
    assert house.end_of(task).outcome == "ok"
    goes_on.signal(signal.SIGTERM)
    goes_on.wait()
    copy(old, file)
    house.worker()
    ended = house.end_of(task)
    assert (ended.outcome, ended.restored) == ("ok", True), house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)
    assert len(house.lab.call("GET", "/templates").json()["templates"]) == 1
