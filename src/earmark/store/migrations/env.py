"""Run by Alembic: migrations on the connection that `migrate` hands over."""

from alembic import context

from earmark.store.columns import metadata
from earmark.store.migrate import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
    include_object=lambda _o, name, kind, *_: (
        kind != "table" or str(name).startswith("earmark_")
    ),
)
with context.begin_transaction():
    context.run_migrations()
