"""Asking for work: what is printed, in which exit code it ends, and who waits."""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest

from tests.cli.conftest import House
from tests.cli.terminal import Running, Terminal

TASK = (
    "id command title state outcome progress message result error object user parent "
    "zone role attempt undoes retry_of retried_by cancelled_by waiting_for created_at "
    "started_at finished_at version"
)


def detached(earmark: Terminal, *words: str) -> str:
    """Ask and do not wait; returns the task's id."""
    ended = earmark.run(*words, "--detach")
    assert ended.code == 0, ended
    return ended.out.strip()


def test_a_vm_is_stopped_and_started_and_what_is_done_is_said(house: House) -> None:
    stopped = house.earmark.run("vms", "stop", "web01")
    assert (stopped.code, stopped.err) == (0, "")
    assert stopped.out == "Power off web01: web01 is off\n"
    assert house.lab.vm("web01")["power_state"] == "off"
    again = house.earmark.run("vms", "stop", "web01")
    assert again.code == 0
    assert "already off" in again.out
    assert house.earmark.run("vms", "start", "web01").code == 0
    assert house.lab.vm("web01")["power_state"] == "on"
    assert house.earmark.run("vms", "shutdown", "web01").code == 0


def test_a_task_is_the_contract_s_document(house: House) -> None:
    task = house.earmark.json("vms", "start", "app01")
    assert " ".join(task) == TASK
    assert (task["command"], task["state"], task["outcome"]) == (
        "PowerOn",
        "done",
        "ok",
    )
    assert task["object"]["name"] == "app01"
    assert task["result"] == {"power_state": "on"}
    assert task["error"] is None
    for name in ("created_at", "started_at", "finished_at"):
        assert task[name].endswith("Z")
        assert datetime.fromisoformat(task[name]).tzinfo is not None
    shown = house.earmark.json("tasks", "show", task["id"])
    more = {"offer": None, "choices": list[Any](), "evidence": list[Any]()}
    assert shown == task | more


def test_a_plan_can_be_seen_while_it_runs_and_afterwards(house: House) -> None:
    task_id = detached(
        house.earmark, "run", "AddVmTemplate", "--vm", "db01", "--name", "golden"
    )
    ended = house.earmark.run("tasks", "wait", task_id)
    assert (ended.code, ended.err) == (0, "")
    tree = house.earmark.json("tasks", "tree", task_id)
    assert [child["title"] for child in tree["children"]] == [
        "Copy disk db01-disk0 to fast",
        "Copy disk db01-disk1 to fast",
        "Copy disk db01-disk2 to fast",
        "Seal template golden",
    ]
    assert {child["outcome"] for child in tree["children"]} == {"ok"}
    log = house.earmark.json("tasks", "logs", task_id)
    assert [line["number"] for line in log] == list(range(1, len(log) + 1))
    followed = house.earmark.run("tasks", "logs", task_id, "--follow")
    assert len(followed.out.splitlines()) == len(log)
    shown = house.earmark.run("tasks", "tree", task_id).out.splitlines()[1:]
    family = [task_id, *(child["id"] for child in tree["children"])]
    assert [line.split()[0] for line in shown] == family
    below = house.earmark.run("tasks", "tree", tree["children"][0]["id"])
    assert len(below.out.splitlines()) == 2


def test_tasks_are_listed_by_what_they_are(house: House) -> None:
    first = house.earmark.json("vms", "start", "web02")

    def ids(*words: str) -> list[str]:
        return [task["id"] for task in house.earmark.json("tasks", "ls", *words)]

    assert first["id"] in ids("--object", "vm:web02")
    assert first["id"] in ids("--command", "PowerOn", "--outcome", "ok")
    assert first["id"] not in ids("--command", "PowerOff")
    assert first["id"] not in ids("--state", "queued", "--state", "held")
    assert len(ids("--limit", "1")) == 1
    assert set(ids("--limit", "1000")) <= set(ids("--all", "--limit", "1000"))
    for words in (["--object", "web02"], ["--command", "Nope"], ["--zone", "mars"]):
        house.earmark.run("tasks", "ls", *words).refused(2)


def test_a_task_is_named_by_an_end_of_its_id(house: House) -> None:
    task = house.earmark.json("vms", "start", "web02")
    found = house.earmark.json("tasks", "show", task["id"][-8:])
    assert found["id"] == task["id"]
    house.earmark.run("tasks", "show", task["id"][-5:]).refused(2, "6 characters")
    # Ids begin with the time: those of one minute begin alike.
    house.earmark.run("tasks", "show", task["id"][:6]).refused(2, "More than one")


def test_vms_are_listed_with_the_contract_s_names(house: House) -> None:
    vms = house.earmark.json("vms", "ls")
    assert [vm["name"] for vm in vms] == [
        "app01",
        "build01",
        "cache01",
        "db01",
        "web01",
        "web02",
    ]
    for vm in vms:
        assert list(vm) == ["id", "name", "provider", "zone", "power_state", "disks"]
    assert house.earmark.json("vms", "show", "db01") == vms[3]
    assert len(vms[3]["disks"]) == 3
    plain = house.earmark.run("vms", "ls").out.splitlines()
    assert plain[0].split() == ["NAME", "POWER", "PROVIDER", "ZONE", "DISKS", "SEEN"]
    assert "\x1b" not in "".join(plain)
    assert len(plain) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["AddVmTemplate"], ["--vm", "--name", "--help"]),
        (["AddVmTemplate", "--vm", "db01", "--name", ""], ["name"]),
        (["AddVmTemplate", "--vm", "nope", "--name", "x"], ["nope"]),
        (["PowerOff", "--json-params", "{"], ["JSON"]),
        (["PowerOff", "--json-params", "[]"], ["object"]),
        (["PowerOff", "--json-params", '{"vm": 7}'], ["vm"]),
        (["PowerOff", "--json-params", '{"vm": "app01", "x": 1}'], ["x", "parameter"]),
        (["RefreshProvider", "--provider", "nope"], ["nope"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_parameters_are_named_and_nothing_is_asked(
    words: list[str], said: list[str], house: House
) -> None:
    before = house.earmark.task_count()
    house.earmark.run("run", *words).refused(2, *said)
    assert house.earmark.task_count() == before


def test_a_command_takes_its_parameters_as_json_too(house: House) -> None:
    task = house.earmark.json(
        "run", "PowerOn", "--json-params", json.dumps({"vm": "app01"})
    )
    assert task["message"] == "already on"


def test_secrets_come_from_standard_input_and_never_from_arguments(
    house: House,
) -> None:
    words = ["run", "VerifyCredentials", "--name", "x", "--kind", "lab"]
    words += ["--settings", json.dumps({"url": house.lab.url})]
    told = json.dumps({"secrets": {"password": "hunter2"}})
    refused = house.earmark.run(*words, "--json-params", told)
    refused.refused(2, "secrets", "never an argument")
    house.earmark.run(*words, "--secrets", "password").refused(2, "password")
    ended = house.earmark.run(
        *words, "--secrets", "password", "--json", typed="lab-password\n"
    )
    assert ended.json["result"]["code"] == "ok"
    assert "lab-password" not in ended.out + ended.err


def test_a_failure_is_exit_1_with_its_reason(house: House) -> None:
    house.lab.fault("fail-task", "image.copy", times=1)
    ended = house.earmark.run(
        "run", "AddVmTemplate", "--vm", "cache01", "--name", "broken"
    )
    assert ended.code == 1
    assert ended.out == ""
    assert "broken from VM cache01 failed" in ended.err
    assert "earmark tasks logs" in ended.err


def test_a_refusal_is_exit_1_and_a_taken_name_exit_2(house: House) -> None:
    made = house.earmark.run("run", "AddVmTemplate", "--vm", "web01", "--name", "one")
    assert made.code == 0, made
    house.earmark.run("run", "AddVmTemplate", "--vm", "web01", "--name", "one").refused(
        2, "one", "Choose another name"
    )


def test_a_wait_that_times_out_is_124_and_the_task_goes_on(house: House) -> None:
    house.lab.fault("slow", "vm.stop", seconds=1.5)
    ended = house.earmark.run("vms", "stop", "app01", "--timeout", "0.2", "--json")
    assert ended.code == 124
    task: dict[str, Any] = ended.json
    assert task["state"] != "done"
    assert f"earmark tasks wait {task['id']}" in ended.err
    house.lab.clear_faults()
    assert house.earmark.run("tasks", "wait", task["id"]).code == 0


def test_without_a_worker_a_task_says_what_it_waits_for(migrated: Terminal) -> None:
    assert migrated.run("zones", "add", "east").code == 0
    ended = migrated.run(
        "run", "VerifyCredentials", "--name", "x", "--kind", "lab", "--zone", "east",
        "--settings", "{}", "--timeout", "0.2",
    )  # fmt: skip
    assert ended.code == 124
    assert "no live worker" in ended.err
    assert "zone east" in ended.err


def test_ctrl_c_leaves_the_task_and_says_how_to_come_back(migrated: Terminal) -> None:
    words = ["run", "VerifyCredentials", "--name", "x", "--kind", "lab"]
    words += ["--settings", "{}", "--secrets", "password"]
    with migrated.on_a_tty(*words) as person:
        person.sees("password:")
        person.types("hunter2\r")
        person.sees("no live worker")
        person.presses_ctrl_c()
        assert person.ends() == 130
        screen = person.screen
    assert "hunter2" not in screen
    (task,) = migrated.json("tasks", "ls")
    assert task["state"] == "queued"
    assert f"earmark tasks wait {task['id']}" in screen
    assert "Traceback" not in screen


def test_ctrl_c_at_a_secret_asks_for_nothing(migrated: Terminal) -> None:
    words = ["run", "VerifyCredentials", "--name", "x", "--kind", "lab"]
    words += ["--settings", "{}", "--secrets", "password"]
    with migrated.on_a_tty(*words) as person:
        person.sees("password:")
        person.presses_ctrl_c()
        assert person.ends() == 130
    assert migrated.json("tasks", "ls") == []


def change_task(earmark: Terminal, task_id: str, changes: str, *values: str) -> None:
    """What an engine that got stuck would have left in the table."""
    with closing(sqlite3.connect(earmark.database)) as connection, connection:
        done = connection.execute(
            f"UPDATE earmark_tasks SET {changes} WHERE id = ?", (*values, task_id)
        )
        assert done.rowcount == 1


def test_what_needs_a_person_ends_a_wait_with_4(migrated: Terminal) -> None:
    words = ["run", "VerifyCredentials", "--name", "x", "--kind", "lab"]
    words += ["--settings", "{}"]
    root, part = (detached(migrated, *words) for _ in range(2))
    change_task(migrated, part, "state = 'held', message = 'what now?'")
    alone = migrated.run("tasks", "wait", part, "--json")
    assert (alone.code, alone.json["state"]) == (4, "held")
    assert alone.json["waiting_for"]["kind"] == "person"
    change_task(migrated, part, "parent_id = ?, root_id = ?", root, root)
    whole = migrated.run("tasks", "wait", root)
    assert whole.code == 4
    assert "what now?" in whole.err
    assert f"earmark tasks show {part}" in whole.err


def test_a_wait_goes_on_over_the_death_of_the_worker(migrated: Terminal) -> None:
    assert migrated.run("zones", "add", "east").code == 0
    task_id = detached(
        migrated, "run", "VerifyCredentials", "--name", "x", "--kind", "lab",
        "--zone", "east", "--settings", '{"url": "http://127.0.0.1:1"}',
    )  # fmt: skip
    wait = Running(["tasks", "wait", task_id], migrated.environment)
    try:
        with migrated.running("worker", "--zone", "east", "--role", "operations"):
            assert wait.wait() in (0, 1)
    finally:
        wait.end()


@pytest.mark.slow
def test_several_workers_drain_on_sigterm(migrated: Terminal) -> None:
    with migrated.running("worker", "--processes", "2") as workers:
        workers.line("worker ready ")
        workers.line("worker ready ")
        states = {row["state"] for row in migrated.json("workers", "ls")}
        assert states == {"live"}
        workers.signal(signal.SIGTERM)
        assert workers.wait() == 0
    rows = migrated.json("workers", "ls")
    assert [row["state"] for row in rows] == ["stopped", "stopped"]
    assert {row["zone"] for row in rows} == {"default"}


def test_a_vm_is_restarted(house: House) -> None:
    house.earmark.json("vms", "start", "app01")  # whatever other tests did to it
    before = len(house.lab.effects())
    assert house.earmark.json("vms", "restart", "app01")["result"] == "on"
    assert [e["verb"] for e in house.lab.effects()[before:]] == ["vm.stop", "vm.start"]


def test_several_vms_are_one_task(house: House) -> None:
    names = ("cache01", "db01")
    task = house.earmark.json("vms", "start", *names)
    assert (task["command"], task["title"]) == (
        "PowerMany",
        "Power of cache01, db01: on",
    )
    assert [house.lab.vm(name)["power_state"] for name in names] == ["on", "on"]
    stopped = house.earmark.run("vms", "stop", *names, "--canaries", "0")
    assert stopped.code == 0, stopped
    assert [house.lab.vm(name)["power_state"] for name in names] == ["off", "off"]


def test_one_unknown_name_of_several_asks_for_nothing(house: House) -> None:
    ended = house.earmark.run("vms", "stop", "web02", "nope")
    assert (ended.code, ended.out) == (2, "")
    assert "'nope'" in ended.err
    assert house.lab.vm("web02")["power_state"] == "on"


def test_a_snapshot_is_shown_with_its_vm(house: House) -> None:
    taken = house.earmark.run("run", "CreateSnapshot", "--vm", "web02", "--name", "v1")
    assert taken.code == 0, taken
    assert "v1, " in house.earmark.run("vms", "show", "web02").out


def test_a_tenant_is_created_by_its_options(house: House) -> None:
    words = ("run", "CreateTenant", "--provider", "lab", "--name", "research")
    made = house.earmark.run(*words, "--description", "Trials")
    assert made.code == 0, made
    house.earmark.run(*words).refused(2, "research", "Choose another name")
    refused = house.earmark.run(*words[:-1], "¿research?")
    assert refused.code == 1
    assert "begins with a letter or a digit" in refused.err
