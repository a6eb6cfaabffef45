"""What proves that a process is gone, and what does not (rule 1)."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.store import identity
from earmark.store.identity import Machine, own_identity, provably_gone, started

HERE = Machine(host="house", boot="boot-2", namespace="pid:[1]")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "this_machine", lambda: str(HERE))


def gone(machine: Machine, pid: int = 1, pid_started: float = 0.0) -> bool:
    return provably_gone(str(machine), pid, pid_started)


def test_another_boot_of_this_host_ended_everything() -> None:
    assert gone(replace(HERE, boot="boot-1"))
    assert gone(replace(HERE, boot="boot-1", namespace="pid:[2]"))


@pytest.mark.parametrize(
    "other",
    [
        replace(HERE, host="elsewhere", boot="boot-1"),
        replace(HERE, host="elsewhere"),
        replace(HERE, namespace="pid:[2]"),
        replace(HERE, host="", boot="boot-1"),
    ],
    ids=["another host", "a copy of it", "a container", "a host without an id"],
)
def test_what_cannot_be_seen_from_here_is_not_gone(other: Machine) -> None:
    assert not gone(other, pid=2**22 + 1)


def test_two_hosts_without_an_id_are_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = replace(HERE, host="")
    monkeypatch.setattr(identity, "this_machine", lambda: str(nameless))
    assert not gone(replace(nameless, boot="boot-1"), pid=2**22 + 1)
    assert gone(nameless, pid=2**22 + 1)


@pytest.mark.parametrize("text", ["", "boot-1 pid:[1]", "a b c d"])
def test_words_that_we_do_not_know_prove_nothing(text: str) -> None:
    assert not provably_gone(text, 2**22 + 1, 0.0)


def test_a_live_process_is_not_gone() -> None:
    assert not gone(HERE, os.getpid(), started(os.getpid()))


def test_a_reused_pid_is_not_the_same_process() -> None:
    assert gone(HERE, os.getpid(), started(os.getpid()) - 1)


def test_an_ended_process_and_a_zombie_are_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    since = started(child.pid)
    assert not gone(HERE, child.pid, since)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert gone(HERE, child.pid, since)
    child.wait()
    assert gone(HERE, child.pid, since)


def test_a_process_that_is_hidden_from_us_is_not_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(pid: int, number: int) -> None:
        raise PermissionError(pid)

    assert gone(HERE, pid=2**22 + 1)
    monkeypatch.setattr("os.kill", refused)
    assert not gone(HERE, pid=2**22 + 1)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_step_of_the_clock_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock's time of a start moves with every step of that clock."""
    mine = own_identity()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 12345.0)
    assert not gone(HERE, mine.pid, mine.pid_started)


def test_a_container_has_no_id_of_its_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its /etc/machine-id is the image's: the same on every host that runs it."""
    file = tmp_path / "machine-id"
    file.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    monkeypatch.setattr(identity, "_MACHINE_ID", file)
    assert identity.host_id("pid:[4026531836]")
    assert identity.host_id("pid:[4026532000]") == ""
    file.write_text("uninitialized\n")
    assert identity.host_id("pid:[4026531836]") == ""
    file.unlink()
    assert identity.host_id("pid:[4026531836]") == ""


def test_a_clone_with_a_name_of_its_own_is_another_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "machine-id"
    file.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    monkeypatch.setattr(identity, "_MACHINE_ID", file)
    ids = set()
    for name in ("one", "two"):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        ids.add(identity.host_id("pid:[4026531836]"))
    assert len(ids) == 2
    assert all("3d1219c7" not in found for found in ids)
