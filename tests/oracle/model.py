"""The model: what a user of the engine may observe, written from the protocol's rules.

No store, no transactions, no threads: plain objects, which are in `things.py`. Here is
how a task ends and who goes on then. How what was done is taken back is in
`undoing.py`, what a worker does in `workers.py` and what becomes of it without one in
`lost.py`, what is found out at a provider in `doubts.py`, and what people and clocks
ask for in `people.py`. Where rules are named, they are the protocol's.
"""

from collections import Counter
from typing import Any

from earmark.domain.command import Child, Command, Composite, ExternalJob
from earmark.domain.ids import derived_id
from earmark.domain.lock import Lock, LockMode
from tests.oracle import undoing
from tests.oracle.site import Site
from tests.oracle.things import OPEN, Effect, Error, Task, new_effect


class Model:
    """The whole of it, at one time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.roots: dict[str, Task] = {}
        self.site = Site()
        #: Who holds, and who queues for, which locks: by root.
        self.held: dict[str, dict[str, LockMode]] = {}
        self.queued: dict[str, dict[str, LockMode]] = {}
        #: By key: the request, and its root.
        self.keys: dict[str, tuple[Command[Any], str]] = {}
        #: Roots that were deleted: when they had ended, and their ids.
        self.forgotten: dict[str, tuple[float | None, str]] = {}
        self.asked = 0
        self.sent = 0
        #: What has happened, by name: all of it must, some time.
        self.happened: Counter[str] = Counter()

    def every(self) -> list[Task]:
        """Every task that is still known, in order."""
        known = [one for root in self.roots.values() for one in root.family()]
        return sorted(known, key=lambda one: one.id)

    def task(self, name: str) -> Task:
        root, *keys = name.split("/")
        found = self.roots[root]
        for key in keys:
            found = (found.children | found.steps)[key]
        return found

    def effects(self) -> list[tuple[Task, Effect]]:
        """The effect that counts of each task that has one."""
        return [(task, task.effect) for task in self.every() if task.effect]

    def all_effects(self) -> list[tuple[Task, Effect]]:
        """Those that were replaced, too."""
        return [(task, effect) for task in self.every() for effect in task.effects]

    # Ends (rules 8 and 11, invariants 3, 6 and 7).

    def end(self, task: Task, outcome: str, error: Error | None = None) -> None:
        """A task ends, and who waited for it goes on."""
        assert not task.done, f"{task.name} ends twice"
        if outcome == "cancelled" and task.cancelled_by == "deadline":
            # A deadline invents no outcome.
            outcome = "failed" if self._ever_sent(task) else "expired"
            error = Error("deadline", error.left if error else frozenset())
        if outcome == "cancelled" and task.verdict == "failed":
            outcome, error = "failed", task.error
        if undoing.instead_of_end(self, task, outcome, error):
            return
        task.state, task.outcome, task.error = "done", outcome, error
        task.pending, task.deadline, task.finished = 0, None, self.now
        self.happened[f"ended {outcome}"] += 1
        if task.parent is None:
            self._release(task)
        elif task.undoes is not None:
            undoing.tell(task)
        else:
            self._tell(task.parent, task)

    def fail(self, task: Task, code: str, outcome: str = "failed") -> None:
        """A bad end, which names what is left behind at providers."""
        error = Error(code, undoing.left_behind(task), undoing.taken_back(task))
        self.happened["left behind"] += bool(error.left)
        self.end(task, outcome, error)

    def fail_unsent(self, task: Task, code: str) -> None:
        """The same for a task of which nothing was sent."""
        self.drop(task, "failed", Error(code, undoing.left_behind(task)))

    def drop(self, task: Task, outcome: str, error: Error | None = None) -> None:
        """End a task of which nothing was sent. What a person had sent again is in
        doubt as before."""
        effect = task.effect
        if effect is not None and effect.state == "planned":
            if effect.doubt_since is not None:
                effect.state, effect.due = "in_doubt", True
                self.rest(task)
                return
            effect.state = "dropped"
        self.end(task, outcome, error)

    def stop(self, task: Task, by: str | None) -> None:
        """No more is sent of it and all below. Only what somebody (`by`) cancelled is
        asked to stop at its provider, too."""
        if task.done or task.step == "undo":
            return
        task.stop, task.cancelled_by = True, task.cancelled_by or by
        effect = task.effect
        is_open = effect is not None and effect.state in OPEN
        if by and task.state == "waiting" and (is_open or task.children):
            task.state = "cancelling"
        if is_open:
            return
        if task.children:
            for child in task.children.values():
                self.stop(child, by)
        elif task.state in ("queued", "waiting"):
            self.happened["dropped unsent"] += 1
            self.drop(task, "cancelled")

    def rest(self, task: Task) -> None:
        """It waits for its provider, its children or its locks, and holds no worker."""
        task.state = "cancelling" if task.cancelled_by else "waiting"
        task.deadline = None

    def _tell(self, parent: Task, ended: Task) -> None:
        if ended.well:
            key = ended.name.rpartition("/")[2]
            for sibling in parent.children.values():
                if sibling.state == "waiting" and key in sibling.after:
                    sibling.pending -= 1
                    if sibling.pending == 0:
                        sibling.state = "queued"
        elif parent.verdict is None:
            self._fix_verdict(parent, ended)
        parent.pending -= 1
        if parent.pending > 0:
            return
        if parent.verdict is None:
            parent.state, parent.step = "queued", "finish"
        else:
            error = parent.error
            assert error is not None
            self.fail(parent, error.code, parent.verdict)

    def _fix_verdict(self, parent: Task, culprit: Task) -> None:
        """The first that ends badly decides, and nothing more is sent."""
        parent.verdict = "failed"
        if parent.cancelled_by:
            parent.verdict = "cancelled"
        elif culprit.outcome in ("cancelled", "interrupted"):
            parent.verdict = culprit.outcome
        its = culprit.error or Error(str(culprit.outcome))
        parent.error = Error(its.code)
        self.happened[f"verdict {parent.verdict}"] += 1
        for sibling in parent.children.values():
            if sibling is not culprit:
                self.stop(sibling, parent.cancelled_by)

    def _ever_sent(self, task: Task) -> bool:
        whose = task.family() if task.parent is None else [task]
        return any(it.first_sent is not None for one in whose for it in one.effects)

    # Locks (rule 11).

    def take(self, root: Task, wanted: list[Lock]) -> bool:
        """All or none; what the root has queued for is taken with it."""
        mine = self.held.get(root.name, {})
        wishes = _strongest([*_locks(self.queued.get(root.name, {})), *wanted])
        new = {
            name: mode
            for name, mode in wishes.items()
            if mine.get(name) not in (mode, LockMode.EXCLUSIVE)
        }
        if self.in_the_way(root, new):
            return False
        self.queued.pop(root.name, None)
        if mine or new:
            self.held[root.name] = mine | new
        return True

    def queue(self, root: Task, wanted: list[Lock]) -> None:
        """Come in line: the place is the root's age."""
        before = _locks(self.queued.get(root.name, {}))
        self.queued[root.name] = _strongest([*before, *wanted])
        self.happened["queued for locks"] += 1

    def in_the_way(self, root: Task, wanted: dict[str, LockMode]) -> bool:
        """Somebody holds it, or came first."""
        return any(
            name in wanted and LockMode.EXCLUSIVE in (mode, wanted[name])
            for table in (self.held, self.queued)
            for other, theirs in table.items()
            if other != root.name
            and (table is self.held or self.roots[other].id < root.id)
            for name, mode in theirs.items()
        )

    def _release(self, root: Task) -> None:
        freed = self.held.pop(root.name, {}) | self.queued.pop(root.name, {})
        for name in freed:
            line = [r for r in self.roots.values() if name in self._wishes(r)]
            for place, other in enumerate(sorted(line, key=lambda r: r.id)):
                if place and self._wishes(other)[name] is LockMode.EXCLUSIVE:
                    break
                if other.state == "waiting":
                    other.state = "queued"
                    self.happened["woken for locks"] += 1
                if self._wishes(other)[name] is LockMode.EXCLUSIVE:
                    break

    def _wishes(self, root: Task) -> dict[str, LockMode]:
        return self.queued.get(root.name, {})


def _locks(held: dict[str, LockMode]) -> list[Lock]:
    return [Lock("thing", name, mode) for name, mode in held.items()]


def _strongest(wanted: list[Lock]) -> dict[str, LockMode]:
    ordered = sorted(wanted, key=lambda one: one.mode is LockMode.EXCLUSIVE)
    return {one.name: one.mode for one in ordered}


def plan_children(task: Task, zones: dict[str, str], now: float) -> list[Lock]:
    """Promise every child, and theirs; returns the locks of all. What comes after
    others is planned when those have ended."""
    assert isinstance(task.command, Composite)
    locks: list[Lock] = []
    # The command's plan depends on nothing but its own fields.
    plan = task.command.children(None)  # type: ignore[arg-type]
    for place, (key, child) in enumerate(plan.items()):
        assert isinstance(child, Child)
        made = Task(
            name=f"{task.name}/{key}",
            id=derived_id(task.id, key, place),
            command=child.command,
            priority=task.priority,
            parent=task,
            zone=zones[child.command.provider],  # type: ignore[attr-defined]
            after=child.after,
            run_after=now,
        )
        task.children[key] = made
        locks.extend(child.command.locks())
        if isinstance(child.command, ExternalJob):
            new_effect(made, child.command)
        if child.after:
            made.state, made.pending = "waiting", len(child.after)
        elif isinstance(child.command, Composite):
            locks.extend(plan_children(made, zones, now))
            made.state, made.pending = "waiting", len(made.children)
            if not made.children:
                made.state, made.step = "queued", "finish"
    return locks
