"""A provider to observe."""

import pytest

from earmark.engine.runtime import Engine
from tests.inventory.shown import Shown


@pytest.fixture
def shown(engine: Engine) -> Shown:
    """The inventory of one provider, on both stores."""
    return Shown(engine)
