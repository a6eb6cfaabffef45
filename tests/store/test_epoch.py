"""A store that was put back from an older copy is told from the store that it was, and
every task that may have sent something since is marked (rule 15)."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from earmark.app import open_engine
from earmark.domain.settings import Settings
from earmark.domain.states import TaskState
from earmark.engine.runtime import Engine
from earmark.store import epoch, tasks
from earmark.store.database import Database, Transaction
from earmark.store.dialect import parse
from earmark.store.schema import audit, installation
from earmark.store.schema import tasks as task_table
from earmark.store.schema import workers as worker_table
from earmark.store.wakeups import Topic
from earmark.worker.heartbeat import Heartbeat
from tests.peers.lab import eventually
from tests.peers.postgres import PostgresPeer
from tests.peers.worker import WorkerProcess
from tests.store.test_queue import put, row
from tests.store.test_workers import register


@contextmanager
def started(settings: Settings) -> Iterator[Engine]:
    """What `up` does first."""
    engine = open_engine(settings, create=True)
    try:
        yield engine
    finally:
        engine.close()


def epoch_of(engine: Engine) -> str:
    query = sa.select(installation.c.epoch)
    return str(engine.read(lambda tx: tx.execute(query).scalar_one()))


def restores(engine: Engine) -> list[str]:
    query = sa.select(audit.c.data).where(audit.c.action == "restore")
    rows = engine.read(lambda tx: tx.execute(query).scalars().all())
    return [data["why"] for data in rows]


def marked(engine: Engine) -> list[str]:
    query = sa.select(task_table.c.state).where(task_table.c.restored)
    return sorted(engine.read(lambda tx: tx.execute(query).scalars().all()))


def heart(engine: Engine, name: str = "w-1") -> Heartbeat:
    """The heartbeat of a worker; its rounds are made by the test."""
    register(engine, name, "live", days=0)
    return Heartbeat(engine, name, 60, on_lost=lambda: None)


def with_tasks(engine: Engine) -> None:
    for state in TaskState:
        put(engine, row(state=state))


MARKED = sorted(state for state in TaskState if state is not TaskState.DONE)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'earmark.db'}"


class Copied:
    """A SQLite file, and a copy of it made while work went on."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        file = Database(settings.database_url).file
        assert file is not None
        self.file = file
        self.copy = folder / "copy.db"

    def make(self) -> None:
        self._backup(self.file, self.copy)

    def put_back(self) -> None:
        """By way of SQLite, so that it can be done under running processes."""
        self._backup(self.copy, self.file)

    @staticmethod
    def _backup(of: Path, to: Path) -> None:
        with closing(sqlite3.connect(of)) as a, closing(sqlite3.connect(to)) as b:
            b.execute("PRAGMA busy_timeout = 10000")
            a.backup(b)


@pytest.fixture
def sqlite_settings(settings: Settings, file_url: str) -> Settings:
    return settings.model_copy(update={"database_url": file_url})


@pytest.fixture
def copied(sqlite_settings: Settings, tmp_path: Path) -> Copied:
    return Copied(sqlite_settings, tmp_path)


only_once = pytest.mark.parametrize(
    "database_url", ["sqlite:////dev/null/not-used"], ids=["once"]
)


def test_the_first_start_is_no_restore(engine: Engine) -> None:
    assert epoch_of(engine) != ""
    assert restores(engine) == []


def test_an_unchanged_restart_is_no_restore(settings: Settings) -> None:
    with started(settings) as engine:
        first = epoch_of(engine)
        with_tasks(engine)
        beats = heart(engine)
        for _ in range(3):
            beats.round()
    for _ in range(2):
        with started(settings) as engine:
            assert (epoch_of(engine), restores(engine)) == (first, [])
            assert marked(engine) == []
            heart(engine, f"w-{_ + 2}").round()


def test_many_that_beat_at_once_alarm_nobody(settings: Settings) -> None:
    with started(settings) as one, started(settings) as other:
        hearts = [heart(one), heart(other, "w-2")]
        for _ in range(5):
            for each in hearts:
                each.round()
        assert restores(one) == []


def test_less_than_a_worker_has_seen(engine: Engine) -> None:
    """Simulated: the rows of a moment before come back under a live worker, and nothing
    else tells; as when a server's disk is put back."""
    with_tasks(engine)
    beats = heart(engine)
    beats.round()
    first = epoch_of(engine)
    back = sa.update(installation).values(heard=installation.c.heard - 1)
    engine.write(lambda tx: tx.execute(back))
    beats.round()
    assert epoch_of(engine) != first
    assert marked(engine) == MARKED
    assert "was seen committed" in restores(engine)[0]
    heart(engine, "w-2").round()
    beats.round()
    assert len(restores(engine)) == 1


@only_once
def test_a_copy_put_back(sqlite_settings: Settings, copied: Copied) -> None:
    with started(sqlite_settings) as engine:
        with_tasks(engine)
        beats = heart(engine)
        beats.round()
        copied.make()
        beats.round()
        first = epoch_of(engine)
        assert engine.read(lambda tx: epoch.unchanged(tx, copied.file))
    copied.put_back()
    with closing(Database(sqlite_settings.database_url)) as looked_at:
        assert not looked_at.read(lambda tx: epoch.unchanged(tx, copied.file))
    with started(sqlite_settings) as engine:
        assert epoch_of(engine) != first
        assert marked(engine) == MARKED
        (why,) = restores(engine)
        assert "was committed once" in why
        again = epoch_of(engine)
    with started(sqlite_settings) as engine:
        assert (epoch_of(engine), len(restores(engine))) == (again, 1)


@only_once
def test_a_copy_without_its_file(sqlite_settings: Settings, copied: Copied) -> None:
    with started(sqlite_settings) as engine:
        with_tasks(engine)
    epoch.memory_file(copied.file).unlink()
    with started(sqlite_settings) as engine:
        assert marked(engine) == MARKED
        assert "is missing" in restores(engine)[0]
        engine.write(
            lambda tx: tx.execute(sa.update(task_table).values(restored=False))
        )
    epoch.Memory("file/another", 0).write(epoch.memory_file(copied.file))
    with started(sqlite_settings) as engine:
        assert marked(engine) == MARKED


@only_once
def test_a_start_that_died_before_its_commit(
    sqlite_settings: Settings, copied: Copied
) -> None:
    """The file was written, and the new epoch was not: it is begun once more."""
    with started(sqlite_settings) as engine:
        with_tasks(engine)
        with pytest.raises(KeyboardInterrupt):
            engine.write(lambda tx: _die_in(tx, engine.database.file))
        assert marked(engine) == []
    with started(sqlite_settings) as engine:
        assert marked(engine) == MARKED


def _die_in(tx: Transaction, file: Path | None) -> None:
    epoch.begin(tx, file, "by hand")
    raise KeyboardInterrupt


@only_once
def test_a_file_moved_in_its_place(sqlite_settings: Settings, copied: Copied) -> None:
    """Nothing more is written to a file that is there no longer."""
    with started(sqlite_settings) as engine:
        copied.make()
        put(engine, row())
        wakeups = engine.database.wakeups
        assert len(engine.read(lambda tx: tx.execute(sa.select(task_table)).all())) == 1
        for name in ("-wal", "-shm"):
            copied.file.with_name(copied.file.name + name).unlink()
        with wakeups.subscribe(Topic.QUEUE) as woken:
            assert woken.wait(10), "it listens"
            shutil.move(copied.copy, copied.file)
            assert woken.wait(10), "it is another file"
            with started(sqlite_settings) as other:
                put(other, row())
            assert woken.wait(10), "another process has committed to it"
        assert len(engine.read(lambda tx: tx.execute(sa.select(task_table)).all())) == 1


@only_once
def test_put_back_under_a_running_worker(
    sqlite_settings: Settings, copied: Copied, tmp_path: Path
) -> None:
    with started(sqlite_settings) as engine:
        put(engine, row(state=TaskState.HELD))
        first = epoch_of(engine)
        with WorkerProcess(sqlite_settings, tmp_path / "log") as worker:
            worker_id = worker.ready()
            copied.make()
            eventually(lambda: beats_of(engine, worker_id) > 5, "it beats")
            copied.put_back()
            eventually(lambda: epoch_of(engine) != first, "a new epoch")
            assert marked(engine) == ["held"]
            before = beats_of(engine, worker_id)
            eventually(lambda: beats_of(engine, worker_id) > before, "it goes on")
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0
        assert len(restores(engine)) == 1


@only_once
def test_a_worker_that_the_copy_does_not_know_is_replaced(
    sqlite_settings: Settings, copied: Copied, tmp_path: Path
) -> None:
    with started(sqlite_settings) as engine:
        first = epoch_of(engine)
        copied.make()
        with WorkerProcess(sqlite_settings, tmp_path / "log") as worker:
            worker.ready()
            copied.put_back()
            assert worker.wait() == 3
        assert epoch_of(engine) != first


def beats_of(engine: Engine, worker_id: str) -> int:
    query = sa.select(worker_table.c.beat).where(worker_table.c.id == worker_id)
    return engine.read(lambda tx: tx.execute(query).scalar_one_or_none()) or 0


class Server:
    """A PostgreSQL database that can be copied and renamed while nobody uses it."""

    def __init__(self, settings: Settings) -> None:
        self.name = str(parse(settings.database_url).database)
        url = parse(settings.database_url).set(
            database="postgres", drivername="postgresql"
        )
        self._admin = url.render_as_string(hide_password=False)

    def run(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement.format(name=self.name).encode())


@pytest.fixture
def server_settings(settings: Settings, postgres: PostgresPeer) -> Settings:
    return settings.model_copy(update={"database_url": postgres.new_database()})


@only_once
@pytest.mark.postgres
def test_a_server_s_copy_put_in_its_place(
    server_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with started(server_settings) as engine:
        with_tasks(engine)
        first = epoch_of(engine)
    server = Server(server_settings)
    server.run('CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    with started(server_settings) as engine:
        assert epoch_of(engine) == first
        assert caplog.messages == []
    server.run('ALTER DATABASE "{name}" RENAME TO "{name}_gone"')
    server.run('ALTER DATABASE "{name}_copy" RENAME TO "{name}"')
    with started(server_settings) as engine:
        assert epoch_of(engine) != first
        assert marked(engine) == MARKED
        assert len(restores(engine)) == 1
    (warning,) = caplog.messages
    assert "if the original goes on too, stop here" in warning


@only_once
@pytest.mark.postgres
def test_a_table_made_again(server_settings: Settings) -> None:
    """As when a dump is read back into the same database."""
    with started(server_settings) as engine:
        with_tasks(engine)
        name = installation.name
        engine.write(
            lambda tx: [
                tx.execute(sa.text(statement))
                for statement in (
                    f"ALTER TABLE {name} RENAME TO old",
                    f"CREATE TABLE {name} AS SELECT * FROM old",
                )
            ]
        )
    with started(server_settings) as engine:
        assert marked(engine) == MARKED


@only_once
@pytest.mark.postgres
def test_one_that_hangs_in_its_beat_stops_no_other(server_settings: Settings) -> None:
    """Rule 16: the count is skipped, not waited for."""
    with started(server_settings) as engine:
        beats = heart(engine)
        with psycopg.connect(
            parse(server_settings.database_url)
            .set(drivername="postgresql")
            .render_as_string(hide_password=False)
        ) as hung:
            hung.execute("UPDATE earmark_installation SET heard = heard + 1")
            before = beats_of(engine, "w-1")
            beats.round()
            assert beats_of(engine, "w-1") == before + 1
            hung.rollback()
        beats.round()
        assert restores(engine) == []


def copy_of(settings: Settings) -> str:
    """What is looked at before anything works on a store."""
    with closing(Database(settings.database_url)) as database:
        return database.read(lambda tx: epoch.copy_of(tx, database.file))


@only_once
def test_a_folder_that_was_copied_whole(
    sqlite_settings: Settings, copied: Copied, tmp_path: Path
) -> None:
    """With the file beside it, and with the same count: that it is another file is all
    that shows it."""
    with started(sqlite_settings) as engine:
        with_tasks(engine)
        heart(engine).round()
    assert copy_of(sqlite_settings) == ""
    shutil.copytree(tmp_path, tmp_path / "beside")
    url = f"sqlite:///{tmp_path / 'beside' / copied.file.name}"
    beside = sqlite_settings.model_copy(update={"database_url": url})
    assert "was written beside another file" in copy_of(beside)
    with started(beside) as engine:
        assert marked(engine) == MARKED
        assert "another file" in restores(engine)[0]
    assert copy_of(beside) == "", "from then on it is itself"
    with started(sqlite_settings) as engine:
        assert (marked(engine), restores(engine)) == ([], [])


@only_once
def test_what_was_put_back_in_its_place_is_not_asked_about(
    sqlite_settings: Settings, copied: Copied
) -> None:
    with started(sqlite_settings) as engine:
        beats = heart(engine)
        copied.make()
        beats.round()
    copied.put_back()
    assert copy_of(sqlite_settings) == ""


@only_once
def test_a_file_alone_may_be_a_copy(sqlite_settings: Settings, copied: Copied) -> None:
    with started(sqlite_settings):
        copied.make()
    url = f"sqlite:///{copied.copy}"
    beside = sqlite_settings.model_copy(update={"database_url": url})
    assert "is missing: this may be a copy" in copy_of(beside)


@only_once
@pytest.mark.postgres
def test_a_database_copied_on_its_server(server_settings: Settings) -> None:
    with started(server_settings) as engine:
        with_tasks(engine)
    server = Server(server_settings)
    server.run('CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    url = parse(server_settings.database_url).set(
        database=f"{server.name}_copy", drivername="postgresql"
    )
    beside = server_settings.model_copy(
        update={"database_url": url.render_as_string(hide_password=False)}
    )
    assert copy_of(server_settings) == ""
    assert f"it was database {server.name}," in copy_of(beside)
    with started(beside) as engine:
        assert marked(engine) == MARKED
    assert copy_of(beside) == "", "from then on it is itself"


@only_once
@pytest.mark.postgres
def test_a_copy_whose_original_is_gone_is_not_asked_about(
    server_settings: Settings,
) -> None:
    with started(server_settings):
        pass
    server = Server(server_settings)
    server.run('CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    server.run('DROP DATABASE "{name}"')
    server.run('ALTER DATABASE "{name}_copy" RENAME TO "{name}"')
    assert copy_of(server_settings) == ""


def test_what_is_asked_for_in_the_new_epoch_is_not_marked(engine: Engine) -> None:
    with_tasks(engine)
    engine.write(lambda tx: epoch.begin(tx, engine.database.file, "by hand"))
    (new,) = put(engine, row())
    assert not engine.read(lambda tx: tasks.get(tx, new)).restored
    assert marked(engine) == MARKED
