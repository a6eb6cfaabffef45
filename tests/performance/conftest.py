"""A PostgreSQL that writes to the disk as a customer's does: its times are reported."""

from collections.abc import Iterator

import pytest

from tests.conftest import need_postgres
from tests.peers.postgres import PostgresPeer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresPeer]:
    """Like the one of the other tests, and durable."""
    need_postgres()
    with postgres_server(durable=True) as peer:
        yield peer
