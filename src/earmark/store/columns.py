"""The column types that every table is made of, and the metadata they share."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant. `timestamptz` on PostgreSQL, sortable UTC text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> Any:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Any) -> Any:
        """Give back an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value


Json = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
Id = sa.String(36)
Name = sa.String(200)
Word = sa.String(32)


def column(name: str, kind: Any, comment: str, **options: Any) -> sa.Column[Any]:
    """A column with its comment, NOT NULL unless told; `to` makes it a reference."""
    options.setdefault("nullable", False)
    reference = options.pop("to", None)
    links = (sa.ForeignKey(reference, **options.pop("fk", {})),) if reference else ()
    return sa.Column(name, kind, *links, comment=comment, **options)


def key(comment: str) -> sa.Column[Any]:
    """A table's own id."""
    return column("id", Id, comment, primary_key=True)


def json(name: str, comment: str, **options: Any) -> sa.Column[Any]:
    """A JSON document."""
    return column(name, Json, comment, **options)


def instant(name: str, comment: str, **options: Any) -> sa.Column[Any]:
    """An instant that is always known."""
    return column(name, UtcDateTime(), comment, **options)


def maybe_instant(name: str, comment: str) -> sa.Column[Any]:
    """An instant that may not have come yet."""
    return instant(name, comment, nullable=True)


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """An index of only the rows that fit `where`, on both stores."""
    condition = sa.text(where)
    return sa.Index(name, *columns, postgresql_where=condition, sqlite_where=condition)
