"""One fresh house after the other: an empty database, a new lab, no worker yet."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark.app import open_engine
from earmark.domain.settings import Settings
from earmark.testing import invariants
from tests.acceptance.house import House
from tests.peers.lab import LabProcess

#: Gives the URL of an empty database.
NewDatabase = Callable[[], str]
#: pytest's `record_property`.
Record = Callable[[str, object], None]


@contextmanager
def fresh_house(url: str, folder: Path) -> Iterator[House]:
    """A house in a folder of its own; everything of it ends with the context."""
    folder.mkdir()
    settings = Settings(
        database_url=url,
        secret_key_file=folder / "secret.key",
        beat_seconds=0.2,
        silence_seconds=2.0,
        drain_seconds=5.0,
        writer_seconds=2.0,
    )
    engine = open_engine(settings, create=True)
    try:
        with (
            LabProcess(
                folder / "lab", copy_seconds=0.4, power_seconds=0.3, short_seconds=0.2
            ) as lab,
            House(engine, settings, lab, folder / "workers.log") as house,
        ):
            house.add_lab()
            yield house
    finally:
        engine.close()


def broken(house: House) -> list[str]:
    """Every invariant, of the database and of the lab's ledger."""
    written = house.lab.ledger()
    done = Counter(effect["token"] for effect in written["effects"])
    return [
        *invariants.broken(house.engine),
        *invariants.broken_at_provider(house.engine, done),
    ]
