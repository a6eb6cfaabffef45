"""A clock that a test moves. Everything that Earmark waits for is told by its store's
time: what is polled, tried again, given up."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.schema import clock


class Clock:
    """The time of one engine's store, on SQLite."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def now(self) -> datetime:
        """The store's time."""
        return self._engine.read(lambda tx: tx.now)

    def advance(self, seconds: float) -> None:
        """Let so much time pass; time never goes back."""
        if seconds < 0:
            raise ValueError("time does not go back")
        later = round(seconds * 1_000_000)

        def work(tx: Transaction) -> None:
            assert tx.now  # whoever is first writes the row
            tx.execute(sa.update(clock).values(offset_us=clock.c.offset_us + later))

        self._engine.write(work)

    def reach(self, instant: datetime) -> None:
        """Let it be that time, if it is not later."""
        self.advance(max((instant - self.now) / timedelta(seconds=1), 0))
