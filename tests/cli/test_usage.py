"""What is said when nothing can be done: one clear line and the right exit code."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.terminal import EARMARK, Terminal


def test_help_names_every_command(earmark: Terminal) -> None:
    ended = earmark.run("--help")
    assert ended.code == 0
    words = "demo up run tasks vms providers zones workers web worker lab db doctor"
    for word in words.split():
        assert f"\n  {word} " in ended.out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["tasks", "ls", "--state", "sleeping"],
        ["vms", "stop"],
        ["up", "--workers", "many"],
        ["tasks", "wait", "x", "--timeout", "-1"],
    ],
    ids=lambda words: " ".join(words),
)
def test_a_call_that_cannot_be_is_a_usage_error(
    words: list[str], earmark: Terminal
) -> None:
    ended = earmark.run(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert "Error: " in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["tasks", "ls"],
        ["vms", "stop", "web01"],
        ["run", "PowerOff", "--vm", "web01"],
        ["worker"],
        ["web"],
        ["db", "status"],
    ],
    ids=lambda words: " ".join(words),
)
def test_a_missing_database_is_not_made_but_named(
    words: list[str], earmark: Terminal
) -> None:
    earmark.run(*words).refused(69, str(earmark.database), "earmark db migrate")
    assert not earmark.database.exists()


def set_schema(database: Path, version: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE earmark_alembic_version SET version_num = ?", (version,)
        )


def test_a_database_that_is_newer_than_the_code_is_left_alone(
    migrated: Terminal,
) -> None:
    set_schema(migrated.database, "9999")
    migrated.run("tasks", "ls").refused(69, "newer", "Upgrade")
    migrated.run("db", "migrate").refused(69, "newer", "Upgrade")
    migrated.run("up").refused(69, "newer", "Upgrade")


def test_an_empty_database_asks_for_the_migration(earmark: Terminal) -> None:
    sqlite3.connect(earmark.database).close()
    earmark.database.touch()
    earmark.run("vms", "ls").refused(69, "empty", "earmark db migrate")
    assert earmark.run("db", "migrate").code == 0
    assert earmark.json("vms", "ls") == []


def test_a_file_that_is_no_database_is_named(earmark: Terminal) -> None:
    earmark.database.write_text("this is a letter, and a long one, to my aunt" * 99)
    earmark.run("tasks", "ls").refused(69, "EARMARK_DATABASE_URL")


def test_a_server_that_is_down_is_said_without_its_password(earmark: Terminal) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/earmark"
    ended = earmark.run("tasks", "ls", EARMARK_DATABASE_URL=url)
    ended.refused(69, "127.0.0.1:1", "EARMARK_DATABASE_URL")
    assert "hunter2" not in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("EARMARK_SLOTS", "many", "EARMARK_SLOTS"),
        ("EARMARK_DATABASE_URL", "mysql://x/y", "sqlite:///"),
        ("EARMARK_DATABASE_URL", "sqlite://", "sqlite:///path"),
        ("EARMARK_URL", "http://127.0.0.1:1", "EARMARK_URL"),
        ("EARMARK_COMMANDS", "no.such.module", "no.such.module"),
    ],
)
def test_an_environment_that_cannot_be_is_named(
    name: str, value: str, word: str, migrated: Terminal
) -> None:
    migrated.run("tasks", "ls", **{name: value}).refused(2, word)


def test_a_log_level_that_is_none_is_named(migrated: Terminal) -> None:
    ended = migrated.run("worker", EARMARK_LOG_LEVEL="loud")
    ended.refused(2, "loud", "warning")


def test_a_key_that_others_can_read_is_refused(migrated: Terminal) -> None:
    key = migrated.database.with_suffix(".key")
    key.chmod(0o644)
    migrated.run("tasks", "ls").refused(69, str(key), "chmod 600")


def test_names_of_nothing_are_usage_errors(migrated: Terminal) -> None:
    migrated.run("run", "NoSuch").refused(2, "NoSuch", "PowerOff")
    migrated.run("vms", "stop", "nope").refused(2, "nope", "earmark vms ls")
    migrated.run("vms", "show", "nope").refused(2, "nope")
    migrated.run("tasks", "show", "nope").refused(2, "nope", "earmark tasks ls")
    migrated.run("tasks", "wait", "abcdef12").refused(2, "abcdef12")
    migrated.run("providers", "refresh", "nope").refused(2, "nope")
    migrated.run("worker", "--zone", "mars").refused(2, "mars", "earmark zones add")


def test_zones_are_added_once(migrated: Terminal) -> None:
    assert migrated.run("zones", "add", "east", "--description", "The lab").code == 0
    migrated.run("zones", "add", "east").refused(2, "east")
    migrated.run("zones", "add", " ").refused(2)
    zones = migrated.json("zones", "ls")
    assert [(z["name"], z["description"], z["workers"]) for z in zones] == [
        ("default", "Always there.", 0),
        ("east", "The lab", 0),
    ]


def test_a_migrated_database_says_how_full_it_is(migrated: Terminal) -> None:
    status = migrated.json("db", "status")
    assert status["database"].endswith("earmark.db")
    assert status["size_bytes"] > 0
    assert set(status["tasks"].values()) == {0}
    assert migrated.run("db", "migrate").code == 0


@contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a shell left open would."""
    with closing(sqlite3.connect(database)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.slow
def test_a_locked_database_is_said_when_patience_ends(migrated: Terminal) -> None:
    with write_lock(migrated.database):
        assert migrated.run("zones", "ls").code == 0, "readers are not concerned"
        migrated.run("zones", "add", "east").refused(69, "locked", "Find who holds it")


def test_a_reader_that_goes_away_is_not_shown_a_traceback(migrated: Terminal) -> None:
    with closing_pipe() as nobody_reads:
        ended = subprocess.run(
            [*EARMARK, "zones", "ls"],
            env=migrated.environment,
            stdout=nobody_reads,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert ended.stderr == ""


@contextmanager
def closing_pipe() -> Iterator[int]:
    """The writing end of a pipe that has no reader."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


def test_a_broken_schema_is_one_line(migrated: Terminal) -> None:
    with closing(sqlite3.connect(migrated.database)) as connection, connection:
        connection.execute("DROP TABLE earmark_zones")
    migrated.run("zones", "ls").refused(69, "no such table")


def test_a_bug_is_one_line_and_a_traceback_only_when_debugging(
    migrated: Terminal,
) -> None:
    # Loaded by the interpreter itself: a bug of ours, not of a module of commands.
    (migrated.folder / "sitecustomize.py").write_text(
        "from earmark.engine import browse\nbrowse.page = lambda *_: 1 / 0\n"
    )
    path = f"{migrated.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {"PYTHONPATH": path}
    migrated.run("tasks", "ls", **environment).refused(
        70, "ZeroDivisionError", "EARMARK_DEBUG=1"
    )
    ended = migrated.run("tasks", "ls", **environment, EARMARK_DEBUG="1")
    assert "Traceback" in ended.err


def test_a_broken_module_of_commands_is_told(migrated: Terminal) -> None:
    (migrated.folder / "broken.py").write_text("1 / 0\n")
    environment = {"EARMARK_COMMANDS": "broken", "PYTHONPATH": str(migrated.folder)}
    migrated.run("tasks", "ls", **environment).refused(
        2, "cannot be imported: ZeroDivisionError", "EARMARK_COMMANDS"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0\n", "cannot be imported: ZeroDivisionError"),
        ("ROUTES = ['/golden']\n", "ROUTES"),
        ("\n", "ROUTES"),
    ],
)
def test_a_broken_module_of_pages_is_told(
    text: str, words: str, migrated: Terminal
) -> None:
    (migrated.folder / "broken.py").write_text(text)
    environment = {"EARMARK_PAGES": "broken", "PYTHONPATH": str(migrated.folder)}
    ended = migrated.run("web", EARMARK_BIND="127.0.0.1:0", **environment)
    ended.refused(2, words, "EARMARK_PAGES")


def test_the_doctor_names_what_is_wrong(migrated: Terminal) -> None:
    well = migrated.run("doctor")
    assert well.code == 0, well
    migrated.database.with_suffix(".key").chmod(0o640)
    ill = migrated.run("doctor", "--json")
    assert ill.code == 1
    states = {found["check"]: found["state"] for found in ill.json}
    assert states["key"] == "trouble"
    assert states["database"] == "ok"
    (key,) = [found for found in ill.json if found["check"] == "key"]
    assert "chmod 600" in key["todo"]


def test_the_doctor_finds_a_missing_database_and_a_taken_port(
    earmark: Terminal, taken_port: int
) -> None:
    ended = earmark.run("doctor", "--json", EARMARK_BIND=f"127.0.0.1:{taken_port}")
    assert ended.code == 1
    states = {found["check"]: found["state"] for found in ended.json}
    assert states["database"] == states["key"] == states["web"] == "trouble"
    assert states["connectors"] == states["commands"] == "ok"


def test_pruning_says_what_it_did_and_wants_a_clear_age(migrated: Terminal) -> None:
    migrated.run("db", "prune", "--older-than", "soon").refused(2, "'soon' is no age")
    nothing = {"deleted": 0, "dry_run": True, "kept": {}}
    words = ("db", "prune", "--older-than", "30d", "--dry-run")
    assert migrated.json(*words) == nothing
