"""A stage for every test of the engine."""

from dataclasses import replace
from datetime import timedelta

import pytest

from earmark.engine.runtime import Engine
from tests.engine.world import ScriptedConnector, Stage


@pytest.fixture
def stage(engine: Engine) -> Stage:
    """An engine with a scripted provider, on both stores."""
    return Stage(engine)


@pytest.fixture
def slow_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever left may be on its way to the provider for an hour."""
    slow = {
        name: replace(operation, max_in_flight=timedelta(hours=1))
        for name, operation in ScriptedConnector.operations.items()
    }
    monkeypatch.setattr(ScriptedConnector, "operations", slow)
