"""A yard for every test of orphans, on both stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.engine.runtime import Engine
from earmark.providers.lab import calls
from tests.crash.inside import InsideLab
from tests.orphans.yard import Yard


@pytest.fixture
def yard(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """An engine, a lab inside the process, and a worker that the test drives."""
    with InsideLab(engine, tmp_path / "lab", plant=False) as lab:
        monkeypatch.setattr(calls, "exchange", lab.exchange)
        yield Yard(engine, lab)
