"""The schema: migrations make what the schema says, and mismatches are told."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from earmark.domain.errors import BadInput, SchemaMismatch, Unavailable
from earmark.engine.runtime import Engine
from earmark.store.columns import metadata
from earmark.store.database import Database
from earmark.store.migrate import VERSION_TABLE, check_schema, installation_id, migrate


def test_migrations_make_exactly_the_schema(engine: Engine) -> None:
    def differences(tx: object) -> list[object]:
        context = MigrationContext.configure(
            tx.connection,  # type: ignore[attr-defined]
            opts={
                "version_table": VERSION_TABLE,
                "include_object": lambda _o, name, kind, *_: (
                    kind != "table" or str(name).startswith("earmark_")
                ),
            },
        )
        return list(compare_metadata(context, metadata))

    found = engine.read(differences)
    assert [d for d in found if VERSION_TABLE not in repr(d)] == []


def test_every_table_and_column_says_what_it_means() -> None:
    silent = [t.name for t in metadata.tables.values() if not t.comment]
    silent += [str(c) for t in metadata.tables.values() for c in t.c if not c.comment]
    assert silent == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    before = installation_id(engine.database)
    migrate(engine.database)
    assert installation_id(engine.database) == before


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        check_schema(Database(f"sqlite:///{tmp_path / 'none.db'}"))
    assert "earmark db migrate" in caught.value.hint
    assert not (tmp_path / "none.db").exists()


def test_an_empty_database_is_told(database_url: str) -> None:
    database = Database(database_url)
    if database.file:
        database.file.touch()
    with pytest.raises(SchemaMismatch, match="empty"):
        check_schema(database)
    database.close()


@pytest.mark.parametrize(("version", "word"), [("9999", "newer")])
def test_a_newer_schema_is_refused(engine: Engine, version: str, word: str) -> None:
    engine.write(
        lambda tx: tx.execute(
            sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :v"), {"v": version}
        )
    )
    for attempt in (check_schema, migrate):
        with pytest.raises(SchemaMismatch, match=word):
            attempt(engine.database)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is not a database, " * 100)
    with pytest.raises(Unavailable) as caught:
        check_schema(Database(f"sqlite:///{path}"))
    assert "not a" in str(caught.value)
    assert path.read_text().startswith("this is not")


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(BadInput):
        Database(url)
