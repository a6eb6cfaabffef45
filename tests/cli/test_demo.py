"""`earmark demo`, from nothing to the end of it all."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.cli.terminal import Running, Terminal
from tests.peers.lab import eventually

pytestmark = pytest.mark.slow

DEMO = ["demo", "--port", "0", "--data"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@pytest.fixture
def demo_terminal(data: Path, earmark: Terminal) -> Terminal:
    """A terminal on the demo's own database."""
    earmark.environment["EARMARK_DATABASE_URL"] = f"sqlite:///{data / 'earmark.db'}"
    return earmark


def lab_pid(data: Path) -> int:
    return int(json.loads((data / "lab.json").read_text())["pid"])


def runs(pid: int) -> bool:
    return (
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    )


def cpu_seconds(demo: int, lab: int) -> float:
    """What the demo and its processes have used of the processors, in seconds."""
    family = psutil.Process(demo).children(recursive=True)
    used = {it.pid: it.cpu_times() for it in (psutil.Process(demo), *family)}
    used[lab] = psutil.Process(lab).cpu_times()
    return sum(it.user + it.system for it in used.values())


def test_it_is_up_with_an_inventory_within_ten_seconds_and_ends_clean(
    data: Path, demo_terminal: Terminal
) -> None:
    began = time.monotonic()
    with demo_terminal.running(*DEMO, str(data)) as demo:
        assert demo.line("Earmark is up: ").startswith("http://127.0.0.1:")
        took = time.monotonic() - began
        # On a machine that is busy with others, what it took itself is what counts.
        assert min(took, cpu_seconds(demo.pid, lab_pid(data))) < 10
        assert "6 VMs" in demo.line("It looks after")
        assert len(demo_terminal.json("vms", "ls")) == 6
        family = psutil.Process(demo.pid).children(recursive=True)
        lab = lab_pid(data)
        assert runs(lab)
        assert os.getsid(lab) != os.getsid(demo.pid)
        demo_terminal.run(*DEMO, str(data)).refused(69, str(demo.pid))
        demo.signal(signal.SIGTERM)
        assert demo.wait() == 0
    assert not runs(lab)
    assert not any(process.is_running() for process in family)


def test_a_killed_demo_leaves_the_lab_which_the_next_one_finds(
    data: Path, demo_terminal: Terminal
) -> None:
    first = Running([*DEMO, str(data)], demo_terminal.environment)
    try:
        first.line("Earmark is up: ")
        lab = lab_pid(data)
    finally:
        first.kill()
    assert runs(lab)
    with demo_terminal.running(*DEMO, str(data)) as second:
        second.line("Earmark is up: ")
        assert "still running" in second.line("It looks after")
        assert lab_pid(data) == lab
        assert demo_terminal.run("vms", "stop", "web02").code == 0
        second.signal(signal.SIGINT)
        assert second.wait() == 0
    assert not runs(lab)
    with demo_terminal.running(*DEMO, str(data)) as third:
        third.line("Earmark is up: ")
        assert lab_pid(data) != lab
        vms = {vm["name"]: vm for vm in demo_terminal.json("vms", "ls")}
        assert vms["web02"]["power_state"] == "off"


@pytest.mark.slow
def test_a_lab_that_moved_is_followed(data: Path, demo_terminal: Terminal) -> None:
    with demo_terminal.running(*DEMO, str(data)) as demo:
        demo.line("Ctrl-C ends it all")
    (data / "lab.json").unlink()
    with demo_terminal.running(*DEMO, str(data)) as demo:
        demo.line("Ctrl-C ends it all")
        assert demo_terminal.run("providers", "verify", "lab").code == 0


def test_a_port_that_was_asked_for_must_be_free(
    data: Path, demo_terminal: Terminal, taken_port: int
) -> None:
    ended = demo_terminal.run("demo", "--data", str(data), "--port", str(taken_port))
    ended.refused(69, str(taken_port), "--port")
    bind = f"127.0.0.1:{taken_port}"
    ended = demo_terminal.run("demo", "--data", str(data), EARMARK_BIND=bind)
    ended.refused(69, bind, "--port")
    assert not (data / "lab.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["earmark.db", "lab.json", "lab/lab.log"])
def test_sigterm_during_the_start_leaves_nothing_running(
    mark: str, data: Path, demo_terminal: Terminal
) -> None:
    demo = Running([*DEMO, str(data)], demo_terminal.environment)
    try:
        eventually((data / mark).exists, mark)
    finally:
        demo.end()
    marked = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(data) in " ".join(process.info["cmdline"] or ())
    ]
    assert marked == []
