"""The code that the pages show is complete, typed, short, and does what they say."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from earmark.commands.onboarding import add_provider, seal_all
from earmark.domain.capabilities import Credentials, InventorySource, Power
from earmark.domain.connector import Connector, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import Refused
from earmark.domain.settings import Settings
from earmark.engine.cancel import cancel
from earmark.engine.enqueue import transact
from earmark.engine.explain import waiting_for
from earmark.engine.registry import load_commands
from earmark.engine.runtime import Engine
from earmark.providers.registry import load_connectors
from earmark.store import inventory, tasks
from earmark.testing import Mistake
from earmark.web.application import create_app
from earmark.web.plugins import load_pages
from tests.peers.lab import PASSWORD, LabProcess, eventually
from tests.peers.worker import WorkerProcess
from tests.web.deciding import Client

from .pages import DOCS, OURS, ROOT, blocks

pytestmark = pytest.mark.slow

TUTORIAL = DOCS / "tutorial" / "write-a-command.md"
MOST_LINES = 40


def run(*words: str, cwd: Path = ROOT) -> str:
    ended = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def test_every_python_block_is_a_module_that_is_tested() -> None:
    for page in OURS:
        for block in blocks(page):
            if block.language == "python":
                assert block.info.startswith(("module=", "into=")), (
                    f"{page}: {block.text[:60]}"
                )
            assert block.language in {"python", "sh", "mermaid"}, page


def test_the_modules_are_formatted_and_typed(modules: Path) -> None:
    first = as_first_written("golden.py")
    (modules / "golden_first.py").write_text(first, encoding="utf-8")
    files = sorted(str(file) for file in modules.glob("*.py"))
    assert len(files) >= 3
    python, config = sys.executable, str(ROOT / "pyproject.toml")
    run(python, "-m", "ruff", "format", "--check", "--config", config, *files)
    rules = ["--select", "E,F,I,B,UP", "--no-cache"]
    run(python, "-m", "ruff", "check", "--config", config, *rules, *files)
    cache = str(ROOT / ".mypy_cache" / "docs")
    run(python, "-m", "mypy", "--strict", "--cache-dir", cache, *files, cwd=modules)


def as_first_written(module: str) -> str:
    """The tutorial's module before it says to change it."""
    shown = [it for it in blocks(TUTORIAL) if it.info == f"module={module}"]
    return shown[0].text


def test_the_seeds_example_has_at_most_forty_lines() -> None:
    text = as_first_written("golden.py")
    lines = text.splitlines()
    classes = [it for it in ast.parse(text).body if isinstance(it, ast.ClassDef)]
    assert [it.name for it in classes] == ["CreateImageTemplate", "AddVmTemplate"]
    written = [
        line
        for it in classes
        for line in lines[it.lineno - 1 : it.end_lineno]
        if line.strip()
    ]
    assert len(written) <= MOST_LINES
    assert max(map(len, lines)) <= 88


def test_the_readmes_example_is_short(modules: Path) -> None:
    text = (modules / "copies.py").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 15


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LabProcess]:
    """A lab whose copies take 0.3 s, or as many seconds as a test asks for."""
    copying = getattr(request, "param", 0.3)
    with LabProcess(tmp_path / "lab", copy_seconds=copying, power_seconds=0.2) as made:
        yield made


@pytest.fixture
def house(
    engine: Engine, settings: Settings, lab: LabProcess, modules: Path, tmp_path: Path
) -> Iterator[Engine]:
    """The lab as a provider, and a worker that knows the pages' commands."""
    settings.commands = (
        "golden",
        "copies",
        "patient",
        "stopping",
        "starting",
        "undoing",
    )

    def work(tx: Any) -> None:
        secrets = seal_all(tx, {"password": PASSWORD})
        where = {"url": lab.url}
        add_provider(
            tx,
            name="lab",
            kind="lab",
            zone="default",
            settings=where,
            secret_ids=secrets,
        )

    transact(engine, work)
    with WorkerProcess(settings, tmp_path / "worker.log") as worker:
        worker.ready()
        eventually(
            lambda: engine.read(inventory.list_providers)[0].refreshed_at,
            "the first refresh",
        )
        yield engine


def earmark(settings: Settings, *words: str) -> str:
    """What a reader types, with the environment that the page tells them to set."""
    environment = os.environ | {
        "EARMARK_DATABASE_URL": settings.database_url,
        "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
        "EARMARK_COMMANDS": ",".join(settings.commands),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "earmark", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_tutorials_command_makes_one_template(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    said = earmark(
        settings, "run", "AddVmTemplate", "--vm", "db01", "--name", "golden-2"
    )
    assert said.startswith("Create template golden-2 from VM db01: ok, ")
    copied = lab.effects("image.copy")
    assert len(copied) == 3
    made = lab.call("GET", "/images").json()["images"]
    assert sum(image["domain"] == "bulk" for image in made) == 3
    (template,) = lab.call("GET", "/templates").json()["templates"]
    assert template["name"] == "golden-2"
    assert template["id"] in said


def test_the_tutorials_lost_reply_is_adopted(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    lab.fault("lose-reply", "image.copy")
    earmark(settings, "run", "AddVmTemplate", "--vm", "db01", "--name", "golden-3")
    assert len(lab.effects("image.copy")) == 3
    listed = ("--all", "--command", "CreateImageTemplate", "--json")
    ids = re.findall(
        r'^    "id": "(.*)"', earmark(settings, "tasks", "ls", *listed), re.M
    )
    logs = [earmark(settings, "tasks", "logs", task) for task in ids]
    (doubted,) = [log for log in logs if "In doubt" in log]
    assert "Sending image.copy with token" in doubted
    assert "Found at the provider and adopted" in doubted


def test_of_the_tutorials_template_that_fails_nothing_stays(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    before = lab.call("GET", "/images").json()
    lab.fault("fail-task", "image.copy", after=2)
    words = ("run", "AddVmTemplate", "--vm", "db01", "--name", "golden-4")
    with pytest.raises(AssertionError, match="3 effects were taken back"):
        earmark(settings, *words)
    assert lab.call("GET", "/images").json() == before


def test_the_readmes_command_copies_an_image(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    image = lab.vm("web01")["disks"][0]["image"]
    earmark(settings, "run", "CopyImage", "--provider", "lab", "--image", image)
    (effect,) = lab.effects("image.copy")
    assert effect["token"]


def test_the_how_tos_copy_is_tried_again(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    lab.fault("fail-task", "image.copy")
    image = lab.vm("web01")["disks"][0]["image"]
    said = earmark(
        settings, "run", "CopyPatiently", "--provider", "lab", "--image", image
    )
    assert "the image was copied" in said
    first, second = lab.requests("image.copy")
    assert first["token"] != second["token"]
    assert [it["token"] for it in lab.effects("image.copy")] == [second["token"]]


def test_of_the_how_tos_copy_that_fails_nothing_stays(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    before = lab.call("GET", "/images").json()
    lab.fault("fail-task", "image.copy")
    image = lab.vm("web01")["disks"][0]["image"]
    words = ("run", "CopyForAWhile", "--provider", "lab", "--image", image)
    with pytest.raises(AssertionError, match="1 effect was taken back"):
        earmark(settings, *words)
    assert lab.call("GET", "/images").json() == before


@pytest.mark.parametrize("lab", [60], indirect=True)
def test_the_how_tos_stop_waits_until_what_is_in_its_way_is_cancelled(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    vms = lab.call("GET", "/vms").json()["vms"]
    off = next(vm for vm in vms if vm["power_state"] == "off" and vm["disks"])
    name, disk = off["name"], off["disks"][0]
    to_bulk = ("--vm", name, "--disk", disk["alias"], "--domain", "bulk", "--detach")
    move = earmark(settings, "run", "MoveDisk", *to_bulk).strip()
    of_image = ("--provider", "lab", "--image", disk["image"], "--detach")
    copy = earmark(settings, "run", "CopyPatiently", *of_image).strip()
    eventually(lambda: len(running(lab)) == 2, "both copies")
    stop = earmark(settings, "run", "StopInTurn", "--vm", name, "--detach").strip()
    eventually(lambda: waits_for(house, stop) == "lock", "its turn")
    for task in (copy, move):
        cancel(house, task, "a reader")
    for task, end in ((copy, "cancelled"), (move, "cancelled"), (stop, "ok")):
        eventually(lambda task=task: outcome(house, task), "the end")  # type: ignore[misc]
        assert outcome(house, task) == end


def running(lab: LabProcess) -> list[Any]:
    listed = lab.call("GET", "/tasks").json()["tasks"]
    return [task for task in listed if task["state"] == "running"]


def waits_for(engine: Engine, task_id: str) -> str:
    task = engine.read(lambda tx: tasks.get(tx, task_id))
    reasons = engine.read(lambda tx: waiting_for(tx, [task]))
    return reasons[task_id].kind if task_id in reasons else ""


def outcome(engine: Engine, task_id: str) -> str:
    return engine.read(lambda tx: tasks.get(tx, task_id)).outcome or ""


def test_the_how_tos_lost_stop_is_found_among_many(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    lab.fault("lose-reply", "vm.stop")
    task = earmark(settings, "run", "StopInTurn", "--vm", "web01", "--detach").strip()
    assert eventually(lambda: outcome(house, task), "the stop", 30) == "ok"
    log = earmark(settings, "tasks", "logs", task)
    assert "In doubt" in log
    assert "Found at the provider and adopted" in log


def test_the_how_tos_second_phase_starts_what_the_first_saw_off(
    house: Engine, settings: Settings, lab: LabProcess
) -> None:
    vms = lab.call("GET", "/vms").json()["vms"]
    off = [vm["name"] for vm in vms if vm["power_state"] == "off"]
    assert off
    said = earmark(settings, "run", "StartWhatIsOff", "--provider", "lab", "--json")
    assert json.loads(said)["result"] == len(off)
    assert {lab.vm(name)["power_state"] for name in off} == {"on"}


def test_the_connector_works_on_what_plays_acme(modules: Path, lab: LabProcess) -> None:
    point = EntryPoint("acme", "acme:CONNECTOR", "earmark.connectors")
    acme: Connector = load_connectors([point])["acme"]
    where = acme.settings.model_validate({"url": lab.url})
    session = acme.open(ProviderConfig(where, {"password": PASSWORD}))
    deadline = Deadline(20)
    assert session.capability(Credentials, deadline).verify().ok
    listed = session.capability(InventorySource, deadline).list_all().vms
    (web01,) = [vm for vm in listed if vm.name == "web01"]
    power = session.capability(Power, deadline)
    handle = power.power_off(web01.external_id, "a-token")
    eventually(lambda: power.vms([handle])[handle].power_state == "off", "off")
    with pytest.raises(Refused):
        power.power_off("no-such-vm", "another-token")
    wrong = acme.open(ProviderConfig(where, {"password": "wrong"}))
    assert wrong.capability(Credentials, deadline).verify().code == "auth"


def test_the_connector_does_what_it_declares_and_no_more(modules: Path) -> None:
    operations = importlib.import_module("acme").CONNECTOR.operations
    commands = load_commands()
    on: Any = commands.newest("PowerOn")
    shutdown: Any = commands.newest("ShutdownGuest")
    assert operations[on.operation].effect == "absolute"
    assert shutdown.operation not in operations


@pytest.mark.slow
def test_first_steps_can_be_taken(tmp_path: Path) -> None:
    """The tutorial's `sh run` blocks, in order, on a demo of its own."""
    page = DOCS / "tutorial" / "first-steps.md"
    steps = [block.text for block in blocks(page) if block.info == "run"]
    assert len(steps) == 4
    data = tmp_path / "demo"
    environment = os.environ | {
        "EARMARK_DATABASE_URL": f"sqlite:///{data / 'earmark.db'}",
        "EARMARK_BIND": "127.0.0.1:0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    demo = subprocess.Popen(
        ["earmark", "demo", "--data", str(data), "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        while "Ctrl-C ends it all" not in (line := demo.stdout.readline()):
            assert line, "the demo ended early"
        said = [taken(step, environment) for step in steps]
    finally:
        demo.terminate()
        demo.communicate(timeout=60)
    assert "web02 is off" in said[1]
    assert "already off" in said[1]
    assert "Create template golden-2 from VM db01: ok" in said[3]


def taken(step: str, environment: dict[str, str]) -> str:
    """What a reader sees, who puts the numbers in for PID and ID."""
    said = ""
    for line in step.splitlines():
        if "PID" in line:
            live = re.findall(r" live +\S+ +(\d+) ", said)
            line = line.replace("PID", live[-1])
        line = re.sub(r"\bID\b", said.split()[-1] if said else "", line)
        ended = subprocess.run(
            ["bash", "-c", line],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, f"{line}: {ended.stdout}{ended.stderr}"
        said += ended.stdout
    return said


def test_the_page_of_ones_own_waits_and_shows_the_template(
    house: Engine, settings: Settings
) -> None:
    app = create_app(house, settings, load_pages(["waiting_page"]))
    client = Client(app)
    form = {"vm": "web01", "name": "waited-for", "idempotency_key": "1"}
    wait = client.post("/golden", data=form).headers["location"]
    assert wait.endswith("/wait?next=golden-made")
    answer = client.get(f"{wait}&hold=1")
    assert answer.headers["location"] == "/templates"
    assert "waited-for" in client.get("/templates").text
    app.state.site.watcher.close()


def test_the_how_tos_tests_pass_and_its_mistake_is_found(modules: Path) -> None:
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if not [it for it in entry_points(group="pytest11") if it.name == "earmark"]:
        asked += ["-p", "earmark.testing.plugin"]
    asked += ["--rootdir", str(modules), "-W", "error", "test_boxes.py"]
    assert "2 passed" in run(*asked, cwd=modules)
    right = (modules / "boxes.py").read_text(encoding="utf-8")
    wrong = right.replace("mark=ctx.token)\n\n    def find", 'mark="")\n\n    def find')
    assert wrong != right
    (modules / "boxes.py").write_text(wrong, encoding="utf-8")
    ended = subprocess.run(asked, cwd=modules, capture_output=True, text=True)
    (report,) = _reports(DOCS / "how-to" / "test-a-command.md")
    missing = [line for line in report[1:] if line not in ended.stdout]
    assert not missing, ended.stdout


def _reports(page: Path) -> Iterator[list[str]]:
    """The reports that a page shows."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"(?:^    .*\n)+", text, re.M):
        lines = [line.removeprefix("    ") for line in block.splitlines()]
        if lines[0].startswith("verify "):
            yield lines


def test_every_mistake_is_told() -> None:
    page = (DOCS / "reference" / "testing.md").read_text(encoding="utf-8")
    assert [it for it in Mistake if f"\n| {it} |" not in page] == []
