"""The store is away for a moment, for a worker that lives on: what it had begun goes on
as soon as the store is back (invariant 10). A real PostgreSQL, behind a proxy."""

import signal
from collections.abc import Iterator

import pytest

from earmark.commands import PowerOff
from tests.acceptance.house import House
from tests.conftest import BOTH_STORES
from tests.peers.lab import eventually
from tests.peers.pg_proxy import PostgresProxy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", BOTH_STORES[1:], indirect=True),
]


@pytest.fixture
def proxy(house: House) -> Iterator[PostgresProxy]:
    """Between the store and the workers."""
    with PostgresProxy(house.settings.database_url) as proxy:
        house.settings.database_url = proxy.url
        yield proxy


@pytest.mark.parametrize("at", ["plan.committed", "prepare.done", "send.committed"])
def test_what_it_broke_off_is_not_left_to_its_deadline(
    house: House, proxy: PostgresProxy, at: str
) -> None:
    worker = house.worker(stop_at=at, slots=1)
    task = house.ask(PowerOff(vm="web01"))
    eventually(worker.stopped, f"the worker stops at {at}")
    proxy.refusing = True
    proxy.sever()
    worker.signal(signal.SIGCONT)
    if at != "send.committed":  # an answer is held in hand until it is written down
        broken = "this attempt broke off"
        eventually(lambda: broken in house.log.read_text(), "it breaks off", 60)
    proxy.refusing = False
    ended = house.end_of(task, 30)
    story = house.story(task)
    assert ended.outcome == "ok", story
    assert "ran past its deadline" not in story
    house.assert_one_effect_each(task)
    house.assert_settled(task)
