"""The soak's audit can fail: what is changed at the lab behind our back is found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from earmark.commands import CreateTenant, PowerOff
from tests.acceptance.house import House
from tests.soak import compare
from tests.soak.houses import fresh_house

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which a tenant was created and a VM powered off."""
    folder = tmp_path_factory.mktemp("audit")
    url = f"sqlite:///{folder / 'earmark.db'}"
    with fresh_house(url, folder / "house") as house:
        house.worker()
        for command in (
            CreateTenant(provider="lab", name="acme"),
            PowerOff(vm="web01"),
        ):
            assert house.end_of(house.ask(command)).outcome == "ok"
        yield house


def _found(house: House) -> str:
    at = compare.look(house.lab)
    found = [f"doubled: {token}" for token in at.doubled()]
    for look in (compare.unexplained, compare.lost, compare.untrue):
        found += look(house.engine, at)
    return "\n".join(found)


def test_nothing_is_found_where_nothing_is_wrong(worked: House) -> None:
    assert _found(worked) == ""


@pytest.mark.parametrize(
    ("behind", "back", "found"),
    [
        (
            "UPDATE tenants SET id = 'x' || id",
            "UPDATE tenants SET id = substr(id, 2)",
            "lost: Create tenant acme",
        ),
        (
            "UPDATE vms SET power_state = 'on' WHERE name = 'web01'",
            "UPDATE vms SET power_state = 'off' WHERE name = 'web01'",
            "lost: web01  is on",
        ),
        (
            "INSERT INTO images VALUES"
            " ('i', 'a', 'fast', 1, 'nobody', 0, NULL, 'legal')",
            "DELETE FROM images WHERE id = 'i'",
            "unexplained: images i",
        ),
        (
            "INSERT INTO tenants SELECT 'i', 'a', '', token, 0, NULL FROM tenants",
            "DELETE FROM tenants WHERE id = 'i'",
            "unexplained: tenants i",
        ),
        (
            "INSERT INTO effects SELECT 99, at, verb, token, object FROM effects"
            " WHERE verb = 'tenant.create'",
            "DELETE FROM effects WHERE seq = 99",
            "doubled: ",
        ),
    ],
)
def test_what_is_changed_behind_our_back_is_found(
    worked: House, behind: str, back: str, found: str
) -> None:
    with closing(sqlite3.connect(worked.lab.state / "lab.sqlite")) as site:
        site.execute(behind)
        site.commit()
        try:
            assert found in _found(worked)
        finally:
            site.execute(back)
            site.commit()
    assert _found(worked) == ""
