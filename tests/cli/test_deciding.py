"""`earmark tasks cancel|retry|resolve`, and what says that a person is needed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from earmark.app import open_engine
from earmark.domain.authoring import Ctx
from earmark.domain.errors import EarmarkError
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.store import inventory, schema
from earmark.store.database import Transaction
from tests.cli.terminal import Terminal
from tests.engine.world import Make, MakeBlindly, Stage

QUEUED = ["run", "VerifyCredentials", "--name", "x", "--kind", "lab"]
QUEUED += ["--settings", "{}", "--detach"]


@contextmanager
def stage_of(earmark: Terminal) -> Iterator[Stage]:
    """A scripted provider that is worked by the test, on the terminal's database."""
    settings = Settings(
        database_url=earmark.environment["EARMARK_DATABASE_URL"],
        secret_key_file=next(earmark.folder.rglob("*.key")),
    )
    engine = open_engine(settings)
    try:
        yield Stage(engine)
    finally:
        engine.close()


@pytest.fixture
def held(migrated: Terminal) -> str:
    """The id of a task whose one request was lost, where nothing can be found out."""

    def lose(what: str, ctx: Ctx) -> str:
        raise EarmarkError("The connection broke.")

    with stage_of(migrated) as stage:
        stage.world.on_send = lose
        task: Task = stage.run(MakeBlindly(provider="p-1", what="bell"))
    assert task.state == "held"
    return task.id


def state(earmark: Terminal, task_id: str) -> str:
    task = earmark.json("tasks", "show", task_id)
    return str(task["outcome"] or task["state"])


def test_what_was_never_sent_is_cancelled_at_once(migrated: Terminal) -> None:
    task_id = migrated.run(*QUEUED).out.strip()
    offer = migrated.json("tasks", "show", task_id)["offer"]
    assert offer["text"] in migrated.run("tasks", "show", task_id).out
    ended = migrated.run("tasks", "cancel", task_id)
    assert ended.code == 3
    assert ended.err.splitlines()[0].endswith(offer["text"])
    assert state(migrated, task_id) == "cancelled"
    assert "cancelled by  local" in migrated.run("tasks", "show", task_id).out
    migrated.run("tasks", "cancel", task_id).refused(1, "ended already")
    migrated.run("tasks", "cancel", "none").refused(2, "There is no task")


def test_who_cancels_need_not_wait(migrated: Terminal) -> None:
    with stage_of(migrated) as stage:
        task = stage.ask(Make(provider="p-1", what="bell"))
        assert [it.id for it in stage.claim()] == [task.id]
    ended = migrated.run("tasks", "cancel", task.id, "--detach")
    assert (ended.code, ended.out.strip()) == (0, task.id)
    again = migrated.run("tasks", "cancel", task.id, "--timeout", "0")
    assert again.code == 124, "asked twice it changes nothing, and goes on"


def test_a_retry_is_a_new_task_that_can_be_waited_for(migrated: Terminal) -> None:
    old = migrated.run(*QUEUED).out.strip()
    migrated.run("tasks", "retry", old).refused(1, "not ended")
    assert migrated.run("tasks", "cancel", old).code == 3
    ended = migrated.run("tasks", "retry", old, "--detach")
    new = ended.out.strip()
    assert (ended.code, ended.err) == (0, f"Task {new} tries {old} again.\n")
    assert migrated.json("tasks", "show", new)["retry_of"] == old
    assert migrated.json("tasks", "show", old)["retried_by"] == new
    assert new in migrated.run("tasks", "show", old).out
    migrated.run("tasks", "retry", old).refused(1, new)
    assert migrated.run("tasks", "retry", new).code == 1


def test_without_a_decision_the_evidence_is_shown(
    migrated: Terminal, held: str
) -> None:
    shown = migrated.run("tasks", "show", held).out
    asked = migrated.run("tasks", "resolve", held)
    assert asked.code == 2
    assert "Nothing was decided" in asked.err
    document = migrated.json("tasks", "show", held)
    kinds = [it["kind"] for it in document["evidence"]]
    assert (kinds[0], kinds[-1]) == ("sending", "held")
    assert len(document["choices"]) == 4
    for printed in (shown, asked.out):
        for piece in document["evidence"]:
            assert piece["text"] in printed
        for choice in document["choices"]:
            assert choice["text"] in printed
        for flag in ("--adopt EXTERNAL_ID", "--absent", "--send-again", "--watch"):
            assert flag in printed
    assert state(migrated, held) == "held"


def test_what_needs_a_person_is_listed(migrated: Terminal, held: str) -> None:
    assert migrated.run(*QUEUED).code == 0
    assert len(migrated.json("tasks", "ls")) == 2
    found = migrated.json("tasks", "ls", "--needs-me")
    assert [task["id"] for task in found] == [held]


def test_an_adopted_id_is_followed_further(migrated: Terminal, held: str) -> None:
    ended = migrated.run("tasks", "resolve", held, "--adopt", "bell-7")
    assert ended.code == 0, ended
    assert f"earmark tasks wait {held}" in ended.err
    assert state(migrated, held) == "waiting"
    migrated.run("tasks", "resolve", held, "--watch").refused(1, "not held")
    migrated.run("tasks", "resolve", held).refused(1, "not held")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--absent", "--watch"], ["one decision", "--absent", "--watch"]),
        (["--adopt", "x", "--send-again"], ["one decision"]),
        (["--adopt", ""], ["which id"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_decision_that_cannot_be_changes_nothing(
    migrated: Terminal, held: str, flags: list[str], words: list[str]
) -> None:
    migrated.run("tasks", "resolve", held, *flags).refused(2, *words)
    assert migrated.run("tasks", "resolve", held, "--guess").code == 2
    assert migrated.run("tasks", "resolve", held, "--adopt").code == 2
    assert state(migrated, held) == "held"


def test_a_script_is_not_asked_whether_it_is_meant(
    migrated: Terminal, held: str
) -> None:
    ended = migrated.run("tasks", "resolve", held, "--watch", "--json")
    assert (ended.code, ended.json["outcome"]) == (0, "interrupted")


def test_a_person_is_told_what_may_happen_and_may_say_no(
    migrated: Terminal, held: str
) -> None:
    words = ["tasks", "resolve", held, "--send-again"]
    with migrated.on_a_tty(*words) as person:
        person.sees("there may be two")
        person.sees("[y/N]")
        person.types("n\n")
        assert person.ends() == 130
    assert state(migrated, held) == "held"
    with migrated.on_a_tty(*words) as person:
        person.sees("[y/N]")
        person.types("y\n")
        assert person.ends() == 0
    assert state(migrated, held) == "queued"


def test_who_says_yes_beforehand_is_not_asked(migrated: Terminal, held: str) -> None:
    with migrated.on_a_tty("tasks", "resolve", held, "--watch", "--yes") as person:
        assert person.ends() == 0
    assert state(migrated, held) == "interrupted"


def test_a_root_stands_for_its_one_held_part(migrated: Terminal, held: str) -> None:
    root = migrated.run(*QUEUED).out.strip()
    query = "UPDATE earmark_tasks SET parent_id = ?, root_id = ? WHERE id = ?"
    with closing(sqlite3.connect(migrated.database)) as rows, rows:
        rows.execute(query, (root, root, held))
        rows.execute("UPDATE earmark_tasks SET state = 'waiting' WHERE id = ?", (root,))
    asked = migrated.run("tasks", "resolve", root)
    assert asked.code == 2
    assert held in asked.out
    assert held in migrated.run("tasks", "show", root).out


def test_a_vm_names_its_holder_and_who_waits(migrated: Terminal) -> None:
    def lock(tx: Transaction) -> None:
        vm_id = inventory.insert_vm(
            tx,
            {
                "provider_id": "p-1",
                "external_id": "v-1",
                "name": "web01",
                "power_state": "on",
                "observed_at": tx.now,
                "command_at": None,
            },
        )
        shared = {"kind": "vm", "name": vm_id, "mode": "exclusive", "since": tx.now}
        tx.execute(sa.insert(schema.locks).values(root_id=holder, **shared))
        tx.execute(sa.insert(schema.lock_queue).values(root_id=waiter, **shared))

    with stage_of(migrated) as stage:
        holder, waiter = (
            stage.ask(Make(provider="p-1", what=what)).id for what in ("one", "two")
        )
        stage.engine.write(lock)
    shown = migrated.run("vms", "show", "web01").out.splitlines()
    (held,) = [line for line in shown if line.startswith("locked by")]
    (waiting,) = [line for line in shown if line.startswith("waited for by")]
    assert "Make one, exclusive, since" in held
    assert holder in held
    assert "Make two, exclusive, since" in waiting
    assert waiter in waiting


def test_a_log_is_searched(migrated: Terminal, held: str) -> None:
    whole = migrated.json("tasks", "logs", held)
    words = "HELD: provider"
    some = [it for it in whole if "held: " in it["text"].lower()]
    assert some
    assert migrated.json("tasks", "logs", held, "--grep", words) == some
    printed = migrated.run("tasks", "logs", held, "--grep", words).out.splitlines()
    assert len(printed) == len(some)
    assert migrated.run("tasks", "logs", held, "--grep", "nothing-like-it").out == ""


def test_a_long_log_is_printed_to_its_end(
    migrated: Terminal, held: str, add_lines: Callable[[str, int], None]
) -> None:
    before = len(migrated.json("tasks", "logs", held))
    add_lines(held, 1500)
    assert len(migrated.run("tasks", "logs", held).out.splitlines()) == before + 1500


@pytest.fixture
def add_lines(migrated: Terminal) -> Callable[[str, int], None]:
    """Writes lines into a task's log."""

    def add(task_id: str, count: int) -> None:
        rows = [(task_id, 1000 + n, "2026-01-01 00:00:00", n) for n in range(count)]
        query = (
            "INSERT INTO earmark_task_log (task_id, number, at, level, text) "
            "VALUES (?, ?, ?, 'info', ?)"
        )
        with closing(sqlite3.connect(migrated.database)) as table, table:
            table.executemany(query, rows)

    return add
