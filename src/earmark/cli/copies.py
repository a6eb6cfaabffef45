"""Is this database a copy beside its original? Asked before anything works on it."""

from earmark.domain.errors import BadInput
from earmark.domain.settings import Settings
from earmark.store import epoch
from earmark.store.database import Database
from earmark.store.migrate import version_of

WHICH = (
    "If the original goes on, say `earmark db copied`; if this one takes its place, "
    "`earmark db restored`."
)


def refuse_a_copy(settings: Settings) -> None:
    """Raise `BadInput` for what may be a copy, until a person has said which it is: two
    that go on with the same tasks would send and take back the same."""
    database = Database(settings.database_url, listen=False)
    try:
        why = may_be_copy(database)
    finally:
        database.close()
    if why:
        raise BadInput(f"This database may be a copy: {why}.", hint=WHICH)


def may_be_copy(database: Database) -> str:
    """What shows it, in words; empty when nothing does, or nothing is there yet."""
    file = database.file
    if file is not None and not file.exists():
        return ""
    if version_of(database)[0] is None:
        return ""
    return database.read(lambda tx: epoch.copy_of(tx, file))
