"""Run by Alembic: migrations on the connection that `migrate` hands over."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from earmark.store.columns import Json, UtcDateTime, metadata
from earmark.store.migrate import VERSION_TABLE


def _our_types(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our own column types by their names."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "UtcDateTime()"
    if kind == "type" and isinstance(item, sa.JSON) and repr(item) == repr(Json):
        return "Json"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_item=_our_types,
    render_as_batch=connection.dialect.name == "sqlite",
    include_object=lambda _o, name, kind, *_: (
        kind != "table" or str(name).startswith("earmark_")
    ),
)
with context.begin_transaction():
    context.run_migrations()
