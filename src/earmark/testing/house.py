"""A house for one test: an engine on a fresh SQLite, with worlds for its providers."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from earmark.domain.connector import Connector, ProviderConfig, settings_of
from earmark.domain.ids import new_id
from earmark.domain.inventory import Provider
from earmark.engine.enqueue import transact
from earmark.engine.registry import Commands
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.security.vault import FileVault
from earmark.store import inventory, schema, secrets
from earmark.store.database import Database
from earmark.store.migrate import installation_id, migrate
from earmark.testing.world import World

#: A connector as the engine is to see it.
Wrap = Callable[[str, World], Connector]


@contextmanager
def open_house() -> Iterator[Engine]:
    """An engine without commands and providers, gone when it is left."""
    with tempfile.TemporaryDirectory(prefix="earmark-testing-") as folder:
        file, key = Path(folder) / "earmark.db", Path(folder) / "earmark.key"
        file.write_bytes(_migrated())
        FileVault.create(key)
        database = _open(file)
        engine = Engine(
            database, Commands(), {}, FileVault.load(key), installation_id(database)
        )
        try:
            yield engine
        finally:
            engine.close()


def add_world(engine: Engine, name: str, world: World, connector: Connector) -> None:
    """Make a world one of the engine's providers, named and known as `name`."""
    kind = connector.kind if connector.kind not in engine.connectors else name
    engine.connectors = {**engine.connectors, kind: connector}

    def work(tx: EngineTx) -> None:
        sealed = {}
        for secret, clear in secrets_of(world).items():
            sealed[secret] = new_id()
            box = tx.engine.vault.seal(clear, sealed[secret])
            secrets.insert(tx.store, sealed[secret], box, None)
        settings = dict(settings_of_world(world))
        row = Provider(name, name, kind, "default", settings, sealed)
        inventory.add_provider(tx.store, row)

    transact(engine, work)


def config_of(world: World) -> ProviderConfig:
    """What the world's own connector is opened with."""
    settings = settings_of(world.connector, settings_of_world(world))
    return ProviderConfig(settings, secrets_of(world))


def settings_of_world(world: World) -> Mapping[str, Any]:
    """Its optional `settings`."""
    return getattr(world, "settings", {})


def secrets_of(world: World) -> Mapping[str, str]:
    """Its optional `secrets`."""
    return getattr(world, "secrets", {})


@cache
def _migrated() -> bytes:
    """A SQLite file with all its tables, once for each process: they take most of the
    time of a short test."""
    with tempfile.TemporaryDirectory(prefix="earmark-testing-") as folder:
        file = Path(folder) / "earmark.db"
        database = _open(file)
        migrate(database)
        # A copy of it is another store.
        blank = sa.update(schema.installation).values(epoch="", heard=0)
        database.write(lambda tx: tx.execute(blank))
        database.close()
        return file.read_bytes()


def _open(file: Path) -> Database:
    database = Database(f"sqlite:///{file}", listen=False)

    @sa.event.listens_for(database.engine, "connect")
    def _quick(connection: Any, _: Any) -> None:
        # Whoever is killed here is a thread: nothing is lost that was not flushed.
        connection.execute("PRAGMA synchronous=OFF")

    return database
