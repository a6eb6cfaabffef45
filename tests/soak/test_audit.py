"""The soak's audit can fail: what is changed at the lab behind our back is found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from earmark.commands import AddVmTemplate, CreateTenant, PowerOff, RemoveVm
from earmark.store.database import Transaction
from earmark.store.schema import placeholders
from tests.acceptance.house import House
from tests.soak import audit, compare
from tests.soak.houses import fresh_house

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which a tenant was created, a VM powered off, and the copies for a
    template taken back."""
    folder = tmp_path_factory.mktemp("audit")
    url = f"sqlite:///{folder / 'earmark.db'}"
    with fresh_house(url, folder / "house") as house:
        house.worker()
        for command in (
            CreateTenant(provider="lab", name="acme"),
            PowerOff(vm="web01"),
        ):
            assert house.end_of(house.ask(command)).outcome == "ok"
        with _behind_its_back(
            house,
            "INSERT INTO templates VALUES ('t', 'golden', 'vm', '[]', NULL, 0, NULL)",
            "DELETE FROM templates WHERE id = 't'",
        ):
            failed = house.end_of(house.ask(AddVmTemplate(vm="web01", name="golden")))
        assert failed.outcome == "failed", failed.message
        yield house


@contextmanager
def _behind_its_back(house: House, done: str, back: str) -> Iterator[None]:
    """Change the lab's own database for a while."""
    with closing(sqlite3.connect(house.lab.state / "lab.sqlite")) as site:
        site.execute(done)
        site.commit()
        try:
            yield
        finally:
            site.execute(back)
            site.commit()


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
    with _behind_its_back(worked, behind, back):
        assert found in _found(worked)
    assert _found(worked) == ""


def _taken_back(tx: Transaction) -> tuple[str, str]:
    """Token and image of a copy that was taken back."""
    undone = placeholders.c.undone_at.is_not(None)
    copy = sa.select(placeholders.c.id, placeholders.c.result).where(undone)
    row = tx.execute(copy.limit(1)).one()
    return row.id, row.result


def test_what_was_taken_back_and_is_there_is_found(worked: House) -> None:
    """A row that says so explains nothing at the provider; only a disk that is on the
    copy by now does."""
    token, image = worked.engine.read(_taken_back)
    there = f"('{image}', 'a', 'fast', 1, '{token}', 0, NULL, 'legal')"
    with _behind_its_back(
        worked,
        f"INSERT INTO images VALUES {there}",
        f"DELETE FROM images WHERE id = '{image}'",
    ):
        assert f"unexplained: images {image}" in _found(worked)
        with _behind_its_back(
            worked,
            f"INSERT INTO disks SELECT 'd', vm, 'a', '{image}' FROM disks LIMIT 1",
            "DELETE FROM disks WHERE id = 'd'",
        ):
            assert "unexplained" not in _found(worked)
    assert _found(worked) == ""


def test_what_waits_for_a_forgotten_job_that_failed_ends_in_this_run(
    tmp_path: Path,
) -> None:
    """Its state may still be reached for all that anybody can tell, so it waits for ten
    minutes; a soak does not."""
    url = f"sqlite:///{tmp_path / 'earmark.db'}"
    with fresh_house(url, tmp_path / "house") as house:
        for fault in ("forget-task", "fail-task"):
            house.lab.fault(fault, verb="image.delete", times=1)
        house.worker()
        task = house.ask(RemoveVm(vm="cache01"))
        assert audit.ended(house.engine, house.lab) == []
        over = house.end_of(task)
        assert "not so 10 minutes" in over.message, house.story(task)
