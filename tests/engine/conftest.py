"""A stage for every test of the engine."""

import pytest

from earmark.engine.runtime import Engine
from tests.engine.world import Stage


@pytest.fixture
def stage(engine: Engine) -> Stage:
    """An engine with a scripted provider, on both stores."""
    return Stage(engine)
