from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.lab import LabProcess


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabProcess]:
    with LabProcess(
        tmp_path / "lab", copy_seconds=0.8, power_seconds=0.6, short_seconds=0.4
    ) as process:
        yield process


@pytest.fixture
def slow_lab(tmp_path: Path) -> Iterator[LabProcess]:
    """A lab whose jobs last so long that a test always finds them running."""
    with LabProcess(
        tmp_path / "lab", copy_seconds=60, power_seconds=60, short_seconds=60
    ) as process:
        yield process
