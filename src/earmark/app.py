"""The composition root: here, and only here, the parts are put together."""

from earmark.domain.settings import Settings
from earmark.engine.registry import load_commands
from earmark.engine.runtime import Engine
from earmark.providers.registry import load_connectors
from earmark.security.vault import FileVault
from earmark.store.database import Database
from earmark.store.migrate import check_schema, installation_id, migrate


def open_engine(settings: Settings, *, create: bool = False) -> Engine:
    """Open the database and put an engine around it.

    `create` makes or migrates the schema and the key file first; without it they must
    be there. Raises `SchemaMismatch`, `Unavailable`, `BadInput` in words for people.
    """
    database = Database(settings.database_url, listen=settings.listen)
    if create:
        migrate(database)
        FileVault.create(settings.key_file)
    check_schema(database)
    return Engine(
        database,
        load_commands(settings.commands),
        load_connectors(),
        FileVault.load(settings.key_file),
        installation_id(database),
    )
