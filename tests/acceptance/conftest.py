"""A house with a lab: the engine in the test's own process, the lab and the workers in
processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from tests.acceptance.house import House
from tests.peers.lab import LabProcess


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabProcess]:
    """A quick lab with six VMs."""
    with LabProcess(
        tmp_path / "lab", copy_seconds=0.4, power_seconds=0.3, short_seconds=0.2
    ) as process:
        yield process


@pytest.fixture
def house(
    engine: Engine, settings: Settings, lab: LabProcess, tmp_path: Path
) -> Iterator[House]:
    """The lab as a provider, with its inventory, and no worker yet."""
    with House(engine, settings, lab, tmp_path / "workers.log") as built:
        built.add_lab()
        yield built
