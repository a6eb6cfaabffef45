"""The soak's blocks are for every run; what takes hours is for `make soak` alone:
without its variable it is not even collected."""

import os
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import BOTH_STORES
from tests.peers.postgres import PostgresPeer
from tests.soak.houses import NewDatabase

collect_ignore = [] if os.environ.get("EARMARK_SOAK") else ["test_every_kill.py"]


@pytest.fixture(params=BOTH_STORES)
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Makes empty databases, of each store."""
    numbers = count(1)
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
    peer: PostgresPeer = request.getfixturevalue("postgres")
    return peer.new_database
