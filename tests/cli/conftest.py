"""A house with a lab, a worker and the lab as a provider, shared by many tests."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.terminal import Running, Terminal
from tests.peers.lab import PASSWORD, LabProcess


@dataclass(frozen=True)
class House:
    """A database, a worker on it, and a lab that it knows as provider `lab`."""

    earmark: Terminal
    lab: LabProcess
    worker: Running


@pytest.fixture
def earmark(tmp_path: Path) -> Terminal:
    """A terminal on no database at all."""
    return Terminal(tmp_path)


@pytest.fixture
def migrated(earmark: Terminal) -> Terminal:
    """A terminal on a new database; nothing runs."""
    assert earmark.run("db", "migrate").code == 0
    return earmark


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all tests of a module; each uses VMs of its own."""
    folder = tmp_path_factory.mktemp("house")
    terminal = Terminal(folder)
    assert terminal.run("db", "migrate").code == 0
    timing = {"copy_seconds": 0.3, "power_seconds": 0.3, "short_seconds": 0.1}
    with (
        LabProcess(folder / "lab", **timing) as lab,
        terminal.running("worker") as worker,
    ):
        worker.line("worker ready ")
        added = terminal.run(
            "providers", "add", "lab", "--name", "lab", "--set", f"url={lab.url}",
            typed=f"{PASSWORD}\n",
        )  # fmt: skip
        assert added.code == 0, added
        refreshed = terminal.run("providers", "refresh", "lab", "--timeout", "20")
        assert refreshed.code == 0, refreshed
        yield House(terminal, lab, worker)
