"""Finish: every child of a composite has ended well. More are planned if its author
knows of more now; else it writes its own rows, and ends."""

from typing import Any

from earmark.domain.command import Composite
from earmark.domain.states import Outcome
from earmark.domain.task import Task
from earmark.engine.authored import in_tx
from earmark.engine.boundary import boundary
from earmark.engine.end import End
from earmark.engine.enqueue import open_tx
from earmark.engine.left_behind import failed_with
from earmark.engine.plan import plan_more
from earmark.engine.results import dumped, of_children
from earmark.engine.runtime import Engine
from earmark.engine.seal import seal
from earmark.engine.wake import end
from earmark.store import tasks
from earmark.store.database import Transaction


def finish(engine: Engine, task: Task, command: Composite[Any]) -> None:
    """Plan the next phase of a claimed composite, or end it with its result.

    Raises what the author's `next_phase` or `finish` raises; then nothing was written.
    """
    boundary("finish.started")

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        results = of_children(tx, task)
        author = open_tx(engine, tx, current)
        more = in_tx(lambda: command.next_phase(author, results))
        if more and current.stop_requested:
            text = "Stopped before its next phase."
            code, outcome = "cancelled", Outcome.CANCELLED
            end(tx, current, failed_with(tx, current, text, code, outcome))
            return
        if plan_more(author, current, command, more) is not None:
            return
        result = in_tx(lambda: command.finish(author, results))
        kept = dumped(seal(author, result, current.root_id))
        end(tx, current, End(Outcome.OK, result=kept))

    engine.write(work)
    boundary("settle.committed")
