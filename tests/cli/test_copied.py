"""`earmark db copied`: a copy of a database is used beside the original."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import House
from tests.cli.terminal import Terminal
from tests.cli.test_orphans import change

ID = "SELECT id FROM earmark_installation"


@pytest.fixture
def copy(migrated: Terminal, tmp_path: Path) -> Terminal:
    """A terminal on a copy of a database at which nothing works, beside it."""
    other = Terminal(tmp_path / "copy")
    shutil.copy(migrated.database, other.database)
    with_key(other, migrated)
    return other


def with_key(copy: Terminal, of: Terminal) -> None:
    key = of.database.with_suffix(".key")
    copy.environment["EARMARK_SECRET_KEY_FILE"] = str(key)


def test_a_copied_database_is_another_installation(
    migrated: Terminal, copy: Terminal
) -> None:
    before = change(migrated, ID)
    assert change(copy, ID) == before
    copy.run("db", "copied").refused(2, "--yes")
    said = copy.run("db", "copied", "--yes")
    ((after,),) = change(copy, ID)
    assert (said.code, said.out) == (0, f"This is installation {after} from now on.\n")
    assert (after,) not in before
    assert change(migrated, ID) == before


def test_a_copied_worker_is_the_originals(house: House, tmp_path: Path) -> None:
    """A copy that was made while the original worked knows of workers that beat there
    alone; and of what was under way."""
    copy = Terminal(tmp_path)
    change(house.earmark, "VACUUM INTO ?", str(copy.database))
    change(copy, "UPDATE earmark_tasks SET state = 'queued', outcome = NULL")
    with_key(copy, house.earmark)
    copy.environment["EARMARK_SILENCE_SECONDS"] = "1"
    with copy.on_a_tty("db", "copied") as person:
        person.sees("tasks that have not ended are left to the original")
        assert "this is the original itself" not in person.screen
        person.types("y\n")
        person.sees("goes on with them.")
        assert person.ends() == 0
    states = change(copy, "SELECT DISTINCT state, outcome FROM earmark_tasks")
    assert states == [("done", "interrupted")]
    assert change(copy, "SELECT DISTINCT state FROM earmark_workers") == [("gone",)]


def test_a_database_at_work_is_no_copy(house: House) -> None:
    before = change(house.earmark, ID)
    house.earmark.run("db", "copied", "--yes").refused(1, "1 workers", "Stop them")
    assert change(house.earmark, ID) == before


def test_who_says_it_of_the_original_is_told(migrated: Terminal) -> None:
    before = change(migrated, ID)
    with migrated.on_a_tty("db", "copied") as person:
        person.sees("this is the original itself, and no copy of it")
        person.types("n\n")
        assert person.ends() == 0
    assert change(migrated, ID) == before


def test_nothing_works_on_a_copy_before_a_person_says_which_it_is(
    copy: Terminal,
) -> None:
    for words in (["up"], ["worker"], ["db", "migrate"]):
        copy.run(*words).refused(2, "may be a copy", "db copied", "db restored")
    told = copy.run("doctor", "--json")
    (finding,) = [it for it in told.json if it["check"] == "copy"]
    assert (told.code, finding["state"]) == (1, "trouble")
    assert "is missing: this may be a copy" in finding["detail"]
    assert copy.run("db", "restored").code == 0
    assert copy.run("db", "migrate").code == 0
    assert "may be a copy" not in copy.run("doctor").out
