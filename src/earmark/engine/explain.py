"""Explain: what an unfinished task waits for, and since when. Derived from the rows at
every look, so it cannot be out of date; nobody ever waits on nothing (invariant 10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.claim import STEPS
from earmark.engine.crew import Crew
from earmark.engine.obstacle import in_the_way
from earmark.engine.relations import (
    RESTING,
    held_parts,
    open_children,
    provider_names,
)
from earmark.engine.unheard import PATIENCE, overdue, unanswered_since
from earmark.store import locks, placeholders, queue
from earmark.store.database import Transaction


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """`kind` for programs (worker, turn, later, children, sibling, call, provider,
    doubt, lock, person), `text` for people, `since` when it began; `next_check` when it
    is looked at next, `who` can end it: the engine, or a person; `task` is the one that
    is in the way, if one is."""

    kind: str
    text: str
    since: datetime
    next_check: datetime | None = None
    who: str = "engine"
    task: str | None = None


def waiting_for(
    tx: Transaction, shown: Sequence[Task], *, places: bool = False
) -> dict[str, WaitingFor]:
    """Why each of many tasks is not done; by id, missing what is done and what runs
    without giving reason to worry. `places`: with the place in the queue, which changes
    with every claim before it."""
    open_tasks = [t for t in shown if not t.done]
    if not open_tasks:
        return {}
    facts = _Facts(tx, open_tasks, places)
    reasons = ((task.id, facts.reason(task)) for task in open_tasks)
    return {task_id: reason for task_id, reason in reasons if reason is not None}


class _Facts:
    """What the reasons of many tasks need, read once for all of them."""

    def __init__(self, tx: Transaction, shown: Sequence[Task], places: bool) -> None:
        self.tx, self.now = tx, tx.now
        self.effects = placeholders.of_tasks(tx, [t.id for t in shown])
        self.crew = Crew(tx)
        self.names = provider_names(tx, self.effects.values(), shown)
        self.unanswered = unanswered_since(tx, self.effects.values())
        self.open_children = open_children(tx, shown)
        resting = [t.id for t in shown if t.is_root and t.state in RESTING]
        self.held_parts = held_parts(tx, resting)
        waiting = [t.id for t in shown if t.is_root and t.state is TaskState.WAITING]
        self.queues = locks.obstacles(tx, waiting) if waiting else {}
        holders = {it.task_id for _, it in self.queues.values() if it is not None}
        self.held_holders = held_parts(tx, holders)
        queued = {(t.zone, t.role) for t in shown if t.state is TaskState.QUEUED}
        lines = {it: self.crew.shared_roles(*it) for it in queued}
        self.places = queue.places(tx, lines) if places else None

    def reason(self, task: Task) -> WaitingFor | None:
        """Why this one is not done."""
        if task.state is TaskState.QUEUED:
            return self._queued(task)
        if task.state is TaskState.RUNNING:
            return self._running(task)
        effect = self.effects.get(task.id)
        if task.state is TaskState.HELD:
            return _decision(task, effect)
        if task.state not in RESTING:
            return None
        is_sent = effect is not None and effect.state is not PlaceholderState.PLANNED
        if is_sent and task.state is not TaskState.UNDOING:
            assert effect is not None
            # Polled by any worker of the zone, whatever its role.
            nobody = self._nobody(task, None, f"in zone {task.zone}")
            return nobody or self._at_provider(task, effect)
        since = task.started_at or task.created_at
        if task.id in self.held_parts:
            held, since = self.held_parts[task.id]
            text = f"a person must decide about “{held}”"
            return WaitingFor("person", text, since, who="person")
        if task.id in self.queues:
            since, obstacle = self.queues[task.id]
            if obstacle is None:
                return WaitingFor("lock", "its turn at what it locks", since)
            text, holder = f"a lock: {in_the_way(self.tx, obstacle)}", obstacle.task_id
            if holder not in self.held_holders:
                return WaitingFor("lock", text, since, task=holder)
            text = f"{text}, which is held: a person must decide"
            return WaitingFor("lock", text, since, who="person", task=holder)
        if task.id in self.open_children:
            left, total, began = self.open_children[task.id]
            undoing = task.state is TaskState.UNDOING
            text = f"{left} of {total} {'steps back' if undoing else 'parts'} to end"
            return WaitingFor("children", text, began if undoing else since)
        text = f"{task.pending} earlier step{'s' if task.pending != 1 else ''} to end"
        return WaitingFor("sibling", text, task.created_at)

    def _queued(self, task: Task) -> WaitingFor:
        where = f"with role {task.role} in zone {task.zone}"
        missing = self._nobody(task, task.role, where)
        if missing is not None:
            return missing
        if task.run_after > self.now:
            text = f"the next try at {task.run_after:%H:%M:%S} UTC"
            return WaitingFor("later", text, task.updated_at, task.run_after)
        step = STEPS[task.step]
        since = max(task.created_at, task.run_after)
        text = f"a free worker{step} {where}{self._place(task)}"
        return WaitingFor("turn", text, since)

    def _place(self, task: Task) -> str:
        """Where it stands in the queue, if that is asked for."""
        if self.places is None:
            return ""
        before = self.places.get(task.id)
        if before is None:
            return f"; more than {queue.LINE} tasks are before it"
        if before == 0:
            return "; it is the next one"
        return f"; {before} task{'s are' if before > 1 else ' is'} before it"

    def _running(self, task: Task) -> WaitingFor | None:
        """A worker has it: what to say when that worker, or its call, is not heard."""
        lost = self.crew.lost(task.worker_id)
        if lost is not None:
            name, seen = lost
            text = f"{name}, which is not heard any more; another one takes over"
            if not self.crew.live(task.zone, task.role):
                where = f"with role {task.role} in zone {task.zone}"
                text = f"{name}, which is not heard any more: no live worker {where}"
            return WaitingFor("worker", text, seen or task.updated_at)
        if self.now - task.updated_at <= PATIENCE:
            return None
        asked = self.names.get(task.provider_id or "")
        text = f"{asked} to answer" if asked else "an answer to the call under way"
        return WaitingFor("call", text, task.updated_at, task.deadline_at)

    def _nobody(self, task: Task, role: str | None, where: str) -> WaitingFor | None:
        """That there is no worker who could do what comes next, if there is none."""
        if not self.crew.live(task.zone, role):
            seen = self.crew.last_seen(task.zone, role)
            since = max(seen, task.created_at) if seen else task.created_at
            return WaitingFor("worker", f"no live worker {where}", since)
        if not self.crew.knows(task, role):
            known = f"{task.command} v{task.command_version}"
            text = f"no live worker {where} knows {known}"
            return WaitingFor("worker", text, task.created_at)
        return None

    def _at_provider(self, task: Task, effect: Placeholder) -> WaitingFor:
        name = self.names.get(effect.provider_id, effect.provider_id)
        soon = effect.next_check_at
        if effect.state is PlaceholderState.IN_DOUBT:
            since = effect.doubt_since or effect.updated_at
            if effect.resend:
                return WaitingFor("turn", "a free worker to send it again", since)
            text = f"{name} to say what became of a request whose answer was lost"
            return WaitingFor("doubt", text, since, soon)
        since = effect.first_sent_at or effect.updated_at
        if effect.checks:
            text = f"{name} to answer; it has not for {effect.checks} questions"
            asked = self.unanswered.get(effect.id, effect.updated_at)
            return WaitingFor("provider", text, asked, soon)
        if soon is not None and overdue(effect, self.now):
            return WaitingFor("provider", f"{name} to answer; nothing is heard", soon)
        verb = "finish"
        if task.state is TaskState.CANCELLING:
            verb = "stop" if effect.stoppable else "finish, as it cannot be stopped,"
        text = f"{name} to {verb} {effect.external_id}"
        return WaitingFor("provider", text, since, soon)


def _decision(task: Task, effect: Placeholder | None) -> WaitingFor:
    """A held task: a person decides, or has, and that is being carried out."""
    since = effect.updated_at if effect else task.updated_at
    if effect is not None and effect.decision is not None:
        text = f"the provider to answer once more, as {effect.decision['by']} decided"
        return WaitingFor("provider", text, since, effect.next_check_at)
    text = f"a person must decide: {task.message}"
    return WaitingFor("person", text, since, who="person")
