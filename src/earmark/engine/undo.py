"""Undo: a root has ended badly, and what was done is taken back, the last first.

Each step is a command of its own, a child of the root with a placeholder of its own
(rule 9). The steps for what nothing else came after are promised in one transaction;
when all of those have ended well, the steps for what came before. Which they are is
derived from the rows each time, so that a restart loses nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from graphlib import TopologicalSorter
from itertools import groupby

from earmark.domain.command import ExternalJob
from earmark.domain.connector import Operation
from earmark.domain.errors import BadInput
from earmark.domain.mark import Mark
from earmark.domain.outcome import Undone
from earmark.domain.states import TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine import describe
from earmark.engine.authored import in_tx
from earmark.engine.boundary import boundary
from earmark.engine.enqueue import open_tx
from earmark.engine.landing import may_come_again_until
from earmark.engine.not_undone import given_up
from earmark.engine.promise import Promised, as_row
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.engine.wake import end_undone
from earmark.store import inventory, journal, tasks
from earmark.store import undo as undo_rows
from earmark.store.database import Transaction


def undo(engine: Engine, task: Task) -> None:
    """Promise the next steps of a claimed root's undo, or end the root when nothing is
    to be taken back any more.

    Raises what an author's `undo` raises; then nothing was written.
    """
    boundary("undo.started")

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        author = open_tx(engine, tx, current)
        promised = Promised(author)
        earlier = sum(
            part.undoes_id is not None for part in tasks.children(tx, current.id)
        )
        while not given_up(tx, current) and (last := _last_done(tx, current)):
            until = _may_come_again(engine, tx, last)
            if until is not None:
                _later(tx, current, until)
                return
            for effect in last:
                _take_back(author, current, effect, promised, earlier)
            if promised.tasks:
                _write(tx, current, promised)
                return
        end_undone(tx, current)

    engine.write(work)
    boundary("undo.planned")


def _take_back(
    author: EngineTx,
    root: Task,
    effect: Placeholder,
    promised: Promised,
    earlier: int,
) -> None:
    """Ask the effect's command for the one that takes it back, and promise that."""
    done_by = tasks.get(author.store, effect.task_id)
    command = describe.load(author.engine, done_by)
    assert isinstance(command, ExternalJob), "only those have effects"
    job = str(effect.external_id)
    author.undoing(_undone(author, effect, job))
    back = in_tx(lambda: command.undo(author, job))
    if back is None:
        undo_rows.undone(author.store, effect.id)
        text = f"Nothing is left of “{done_by.title}”: its command says so."
        journal.log(author.store, root.id, text)
    elif isinstance(back, ExternalJob):
        promised.add_undo(as_row(root), effect.id, back, earlier)
    else:
        raise BadInput(
            f"{done_by.command}.undo returned {back!r}, which is no ExternalJob.",
            hint="What takes an effect back has an effect itself: one, with a token.",
        )


def _undone(author: EngineTx, effect: Placeholder, job: str) -> Undone:
    operation = _operation(author.engine, author.store, effect)
    return Undone(
        token=effect.id,
        mark=str(Mark(author.engine.installation, effect.id)),
        job=job,
        request=effect.request,
        result=effect.result,
        listed_at=effect.updated_at + operation.visibility_lag,
    )


def _may_come_again(
    engine: Engine, tx: Transaction, effects: Sequence[Placeholder]
) -> datetime | None:
    """Until when a request for one of these effects may still arrive."""
    times = (
        may_come_again_until(tx, effect, _operation(engine, tx, effect))
        for effect in effects
    )
    return max((time for time in times if time is not None), default=None)


def _operation(engine: Engine, tx: Transaction, effect: Placeholder) -> Operation:
    provider = inventory.provider(tx, effect.provider_id)
    return engine.operation(provider, effect.operation)


def _later(tx: Transaction, root: Task, until: datetime) -> None:
    text = (
        "Not taken back yet: a request for it that nobody answered may still arrive, "
        "and would make it anew."
    )
    if not journal.says(tx, root.id, text):
        journal.log(tx, root.id, text)
    tasks.move(
        tx, root, TaskState.QUEUED, message=text, run_after=until, deadline_at=None
    )


def _write(tx: Transaction, root: Task, promised: Promised) -> None:
    promised.write()
    count = len(promised.tasks)
    steps = "1 effect" if count == 1 else f"{count} effects"
    journal.log(tx, root.id, f"Taking back {steps}; all of that is promised now.")
    tasks.move(tx, root, TaskState.UNDOING, pending=count, deadline_at=None)


def _last_done(tx: Transaction, root: Task) -> Sequence[Placeholder]:
    """Of what is to be taken back, that after which nothing else of it came. What came
    before something that a person only watches for stays: that may stand on it."""
    left = undo_rows.to_undo(tx, root.id)
    if not left:
        return ()
    every = [root, *tasks.descendants(tx, root.id)]
    parts = [task for task in every if task.undoes_id is None]
    late = lateness(parts, tasks.needs_of_root(tx, root.id))
    unknown = [late[effect.task_id] for effect in undo_rows.watched(tx, root.id)]
    left = [it for it in left if late[it.task_id] >= max(unknown, default=0)]
    last = max((late[effect.task_id] for effect in left), default=0)
    return [effect for effect in left if late[effect.task_id] == last]


def lateness(
    parts: Iterable[Task], needs: Iterable[tuple[str, str]]
) -> Mapping[str, int]:
    """How late each task of a tree came, as a number: later than what it needs, than
    the phases before its own, and than what its parent came after."""
    below: dict[str | None, list[Task]] = defaultdict(list)
    for part in parts:
        below[part.parent_id].append(part)
    after: dict[str, set[str]] = defaultdict(set)
    for one, other in needs:
        after[one].add(other)
    late: dict[str, int] = {}

    def place(task: Task, begin: int) -> int:
        """Place a task and all below it; returns when the last of it has ended."""
        late[task.id] = begin
        # Ids are given out in the order of the plans, whatever clocks say.
        children = sorted(below[task.id], key=lambda child: child.id)
        if not children:
            return begin + 1
        # All of a phase is planned in one transaction, and has that one's time.
        for _, phase in groupby(children, key=lambda child: child.created_at):
            siblings = {child.id: child for child in phase}
            order = {it: after[it] & siblings.keys() for it in siblings}
            ends: dict[str, int] = {}
            for it in TopologicalSorter(order).static_order():
                start = max([begin, *(ends[other] for other in order[it])])
                ends[it] = place(siblings[it], start)
            begin = max(ends.values())
        return begin

    for root in below[None]:
        place(root, 0)
    return late
