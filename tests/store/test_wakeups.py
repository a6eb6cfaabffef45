"""Following the store's commits goes on after an error of the driver itself."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.store import wakeups
from earmark.store.database import Database
from earmark.store.wakeups import Topic


def test_a_file_that_fails_once_is_followed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "_RECONNECT_SECONDS", 0.0)
    url = f"sqlite:///{tmp_path / 'earmark.db'}"
    reader, writer = Database(url), Database(url, listen=False)
    connect, connections = sa.Engine.connect, []

    def first_one_breaks() -> Any:
        connection = connect(reader.engine)
        connections.append(connection)
        if len(connections) == 1:
            # What the driver raises here is its own, not SQLAlchemy's.
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.close()
        return connection

    monkeypatch.setattr(reader.engine, "connect", first_one_breaks)
    with reader.wakeups.subscribe(Topic.QUEUE) as signal:
        assert signal.wait(10)
        monkeypatch.undo()
        writer.write(lambda tx: tx.execute(sa.text("CREATE TABLE some (x)")))
        assert signal.wait(10)
    writer.close()
    reader.close()
