"""A round of a worker, one step after the other, in the thread that calls."""

import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.engine.claim import claim
from earmark.engine.perform import perform
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.queue import Appetite
from earmark.store.schema import placeholders, tasks


def appetite(engine: Engine) -> Appetite:
    """A worker of zone `default`, in every role, with every command of this process."""
    return Appetite("default", ("*",), engine.commands.pairs())


def perform_queued(engine: Engine, worker: str = "w-1", most: int = 10) -> list[Task]:
    """Claim what is queued and due, and do it; returns what was claimed."""
    claimed = claim(engine, appetite(engine), worker, most)
    for task in claimed:
        perform(engine, task)
    return claimed


def hurry(engine: Engine) -> None:
    """Whatever waits for its time is due now: to be asked about, or tried again."""

    def work(tx: Transaction) -> None:
        due = sa.update(placeholders).where(placeholders.c.next_check_at > tx.now)
        tx.execute(due.values(next_check_at=tx.now))
        later = sa.update(tasks).where(
            tasks.c.state == "queued", tasks.c.run_after > tx.now
        )
        tx.execute(later.values(run_after=tx.now))

    engine.write(work)
