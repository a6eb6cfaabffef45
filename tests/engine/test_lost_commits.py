"""The answer to a commit is lost, at every commit of a command in turn, both ways: it
was not done, or it was (PROTOCOL, "The life of one command"). PostgreSQL only: beside
SQLite there is no wire on which an answer could be lost."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from earmark.domain.command import Command
from earmark.domain.errors import CommitUnknown
from earmark.domain.states import OPEN_AT_PROVIDER
from earmark.engine.runtime import Engine
from earmark.store import commits, inventory
from earmark.store.database import Database, Transaction
from earmark.store.migrate import migrate
from earmark.store.schema import installation, locks, zones
from tests.crash.drawn import SOAK
from tests.engine.world import Make, MakeAll, MakeBlindly, MakeTagged, Stage
from tests.peers.pg_proxy import Cut, PostgresProxy
from tests.peers.postgres import PostgresPeer, postgres_server

pytestmark = pytest.mark.postgres
Asked = Callable[[], Command[Any]]


@pytest.fixture
def proxy(postgres: PostgresPeer) -> Iterator[PostgresProxy]:
    with PostgresProxy(postgres.new_database()) as proxy:
        yield proxy


@pytest.fixture
def database_url(proxy: PostgresProxy) -> str:
    """The database, by way of the proxy."""
    return proxy.url


def one_of_a_kind(stage: Stage, command: Command[Any], effects: list[str]) -> None:
    """Run it, and see that it ended well, did each thing once and left nothing open."""
    before = {task.id for task in stage.tasks()}
    stage.world.sent.clear()
    task = stage.run(command)
    assert task.outcome == "ok", (task.state, task.message)
    assert stage.world.sent == effects
    new = [t for t in stage.tasks() if t.id not in before]
    assert sum(t.parent_id is None for t in new) == 1
    assert {t.state for t in stage.tasks()} == {"done"}
    assert not [e for e in stage.effects() if e.state in OPEN_AT_PROVIDER]
    assert stage.engine.read(lambda tx: tx.execute(sa.select(locks)).all()) == []


COMMANDS = {
    "token": (Make(provider="p-1", what="pot"), ["pot"]),
    "none": (MakeBlindly(provider="p-1", what="pot"), ["pot"]),
    "tag": (MakeTagged(provider="p-1", what="pot"), ["pot"]),
    "composite": (
        MakeAll(provider="p-1", whats=("pot", "lid"), join=True),
        ["pot", "lid", "pot!+lid!"],
    ),
}


#: Each child of a composite commits what a command of its own does: of them all every
#: third one will do. The two ways begin at different ones.
SHARE = {"composite": 1 if SOAK else 3}


@pytest.mark.timeout(600)  # a run for each commit of a run
@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize(
    "kind",
    ["token", "none", "tag", pytest.param("composite", marks=pytest.mark.slow)],
)
def test_at_every_commit_in_turn(
    stage: Stage, proxy: PostgresProxy, kind: str, how: Cut
) -> None:
    command, effects = COMMANDS[kind]
    share = SHARE.get(kind, 1)
    done = 0
    for number in count(1 + list(Cut).index(how) % share, share):
        proxy.cut(number, how)
        one_of_a_kind(stage, command, effects)
        if not proxy.was_cut:
            break
        done += 1
    print(f"{kind}: {done} commits were cut {how}")
    assert done > 10


def unknown(stage: Stage, proxy: PostgresProxy, kind: str, how: Cut) -> int:
    """How many of the first commits of a command leave it unknown what they did."""
    command, effects = COMMANDS[kind]
    count = 0
    for number in range(1, 27):
        proxy.cut(number, how)
        try:
            one_of_a_kind(stage, command, effects)
        except (CommitUnknown, AssertionError):
            count += 1
    return count


@pytest.mark.parametrize("how", Cut)
def test_without_asking_the_server_they_are_not_all_done(
    stage: Stage, proxy: PostgresProxy, how: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: this is what it sees without the question."""
    monkeypatch.setattr(commits, "fate", lambda *_: commits.Fate.UNKNOWN)
    assert unknown(stage, proxy, "none", how) > 5


def add_zone(name: str) -> Callable[[Transaction], str]:
    def work(tx: Transaction) -> str:
        inventory.add_zone(tx, name, "")
        return name

    return work


def zone_names(database: Database) -> list[str]:
    return list(database.read(lambda tx: inventory.zone_names(tx)))


def test_it_waits_for_a_server_that_is_still_at_it(
    engine: Engine, proxy: PostgresProxy
) -> None:
    """Another's transaction, of which it is not yet known how it ends, and then is."""
    asked = []

    with psycopg.connect(proxy.url) as other:
        row = other.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert row is not None
        receipt = engine.write(lambda tx: commits.receipt(tx.connection))
        still = commits.Receipt(row[0], receipt.lineage, receipt.counts_since)

        def ask(*_: Any) -> None:
            asked.append(time.monotonic())
            if len(asked) == 3:
                other.commit()

        engine_of = engine.database.engine
        sa.event.listen(engine_of, "begin", ask)
        assert commits.fate(engine_of, still) is commits.Fate.COMMITTED
    assert len(asked) == 3


@pytest.mark.parametrize("how", Cut)
def test_after_a_failover_nobody_can_tell(
    engine: Engine, proxy: PostgresProxy, how: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: after the cut, the server shows another timeline."""
    real = commits._ask

    def promoted(connection: Any, receipt: commits.Receipt) -> Any:
        monkeypatch.setattr(commits, "_TIMELINE", "'00000002'")
        return real(connection, receipt)

    monkeypatch.setattr(commits, "_ask", promoted)
    proxy.cut(1, how)
    with pytest.raises(CommitUnknown):
        engine.write(add_zone("east"))
    assert ("east" in zone_names(engine.database)) == (how is Cut.AFTER)


def test_what_the_transaction_wrote_tells_it_then(
    engine: Engine, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "fate", lambda *_: commits.Fate.UNKNOWN)
    for name, how in zip(("east", "west"), Cut, strict=True):
        proxy.cut(1, how)
        there = sa.select(zones.c.id).where(zones.c.name == name)
        made = engine.database.write(
            add_zone(name),
            landed=lambda tx, there=there: tx.execute(there).first() is not None,  # type: ignore[misc]
        )
        assert made == name
    assert {"east", "west"} <= set(zone_names(engine.database))


def test_a_role_without_rights_may_ask(postgres: PostgresPeer) -> None:
    """All of it is open to the plainest role, and what an operator took from it is
    done without."""
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("REVOKE ALL ON FUNCTION pg_control_system() FROM PUBLIC")
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("GRANT CREATE ON SCHEMA public TO plain")
    plain = sa.make_url(url).set(username="plain")
    with PostgresProxy(plain.render_as_string(hide_password=False)) as proxy:
        database = Database(proxy.url)
        try:
            migrate(database)
            proxy.cut(1, Cut.AFTER)
            assert database.write(add_zone("east")) == "east"
        finally:
            database.close()
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute("DROP OWNED BY plain")
                admin.execute("DROP ROLE plain")


def test_a_crash_may_give_the_same_id_to_another() -> None:
    """A backend is killed, so the server starts over, and a transaction whose records
    were not on disk never was. Others get its id and commit it: no proof for ours."""
    with postgres_server() as peer:
        url = peer.new_database()
        database = Database(url, listen=False)
        try:
            migrate(database)
            other = sa.create_engine(database.url)
            with other.connect() as ours:
                ours.execute(sa.update(installation).values(heard=installation.c.heard))
                receipt = commits.receipt(ours)
                assert receipt.xid is not None
                with psycopg.connect(url, autocommit=True) as victim:
                    os.kill(victim.info.backend_pid, signal.SIGKILL)
                fates = {commits.fate(database.engine, receipt)}
                for number in range(5):
                    database.write(add_zone(f"zone-{number}"))
                    fates.add(commits.fate(database.engine, receipt))
                ours.invalidate()
            other.dispose()
            with database.engine.connect() as connection:
                status = connection.execute(
                    sa.text("SELECT pg_xact_status(CAST(:xid AS xid8))"),
                    {"xid": receipt.xid},
                ).scalar()
            assert status == "committed", "the server means another's transaction"
            assert fates == {commits.Fate.ABORTED, commits.Fate.UNKNOWN}
        finally:
            database.close()
