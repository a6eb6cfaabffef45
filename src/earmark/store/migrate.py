"""Making and checking the schema. Our tables may live in the caller's database, so
they have an Alembic version table of their own."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from earmark.domain.errors import SchemaMismatch
from earmark.domain.ids import new_id
from earmark.domain.task import DEFAULT_ZONE
from earmark.store import dialect, epoch
from earmark.store.database import Database, Transaction
from earmark.store.schema import installation, zones

VERSION_TABLE = "earmark_alembic_version"
_MIGRATE_HINT = "Run `earmark db migrate`."


def script_config() -> Config:
    """Alembic's configuration, with no file of its own."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def migrate(database: Database) -> str:
    """Bring the schema to this code's version; returns that version.

    Makes a missing SQLite file, and sees that the store is no older copy of itself
    (see `epoch`). Safe to run from many processes at once. Raises `SchemaMismatch` when
    the database is newer than the code, `Unavailable` when it cannot be reached.
    """
    if database.file is not None:
        database.file.parent.mkdir(parents=True, exist_ok=True)

    def work(tx: Transaction) -> str:
        dialect.lock_names(tx.connection, ["earmark:migrate"])
        current, head = _versions(tx.connection)
        _refuse_newer(current, head)
        config = script_config()
        config.attributes["connection"] = tx.connection
        command.upgrade(config, "head")
        _seed(tx)
        return head

    version = database.write(work)
    epoch.check(database)
    return version


def check_schema(database: Database) -> None:
    """Raise `SchemaMismatch` unless the schema is this code's; says what to do."""
    if database.file is not None and not database.file.exists():
        raise SchemaMismatch(
            f"There is no database at {database.file}.",
            hint=f"{_MIGRATE_HINT} Or start everything with `earmark up`.",
        )
    current, head = database.read(lambda tx: _versions(tx.connection))
    _refuse_newer(current, head)
    if current is None:
        raise SchemaMismatch("The database is empty.", hint=_MIGRATE_HINT)
    if current != head:
        raise SchemaMismatch(
            f"The database's schema is {current}, older than this code's {head}.",
            hint=_MIGRATE_HINT,
        )


def installation_id(database: Database) -> str:
    """This installation's id: the first half of every mark."""
    query = sa.select(installation.c.id)
    found: str = database.read(lambda tx: tx.execute(query).scalar_one())
    return found


def version_of(database: Database) -> tuple[str | None, str]:
    """The database's schema version (None when it has none), and this code's."""
    return database.read(lambda tx: _versions(tx.connection))


def _versions(connection: sa.Connection) -> tuple[str | None, str]:
    head = ScriptDirectory.from_config(script_config()).get_current_head()
    assert head is not None
    options = {"version_table": VERSION_TABLE}
    context = MigrationContext.configure(connection, opts=options)
    return context.get_current_revision(), head


def _refuse_newer(current: str | None, head: str) -> None:
    if current is None:
        return
    script = ScriptDirectory.from_config(script_config())
    known = {revision.revision for revision in script.walk_revisions()}
    if current not in known:
        raise SchemaMismatch(
            f"The database's schema {current} is newer than this code's {head}.",
            hint="Upgrade Earmark on this host.",
        )


def _seed(tx: Transaction) -> None:
    """What every installation has from the start: its id, and zone `default`."""
    if tx.execute(sa.select(installation.c.id)).first() is None:
        row = {"id": new_id(), "epoch": "", "heard": 0, "created_at": tx.now}
        tx.execute(sa.insert(installation).values(row))
    zone = {
        "id": new_id(),
        "name": DEFAULT_ZONE,
        "description": "Always there.",
        "created_at": tx.now,
    }
    dialect.insert_new(tx.connection, zones, zone)
