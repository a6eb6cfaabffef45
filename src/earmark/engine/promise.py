"""Promise: the rows of a plan, gathered before any of them is written.

Ids are derived from the parent's and the child's key, so a plan that has to be made
again, because the store was restored to a copy from before it, names the same tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from earmark.domain.command import Child, Command, Composite, ExternalJob
from earmark.domain.connector import EffectClass
from earmark.domain.errors import BadInput
from earmark.domain.ids import MOST_PARTS, derived_id
from earmark.domain.lock import Lock, checked
from earmark.domain.states import Step, TaskState
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.authored import in_tx
from earmark.engine.seal import seal
from earmark.engine.tx import EngineTx, Names
from earmark.store import placeholders, tasks

#: How many tasks one plan may have, children's children included: what is written, and
#: dropped, in one transaction well within the time that a writer may hold SQLite.
MOST_TASKS = 2_500
#: How deep composites may lie in each other: more is a plan that contains itself.
MOST_LEVELS = 20
#: The place of the first step of an undo among the children of its root.
FIRST_UNDO = MOST_PARTS // 2
#: More says nothing more about a child's share, and sums must stay integers.
MOST_WEIGHT = 1_000_000


def as_row(task: Task) -> dict[str, Any]:
    """A task that is written already, as the plan's parent."""
    return {name: getattr(task, name) for name in Task.__slots__}


def effect_row(
    author: EngineTx, names: Names, row: Mapping[str, Any], command: ExternalJob[Any]
) -> dict[str, Any]:
    """The first placeholder of a task."""
    if row["provider_id"] is None:
        raise BadInput(f"{type(command).__name__} names no provider to send to.")
    provider = names.provider(row["provider_id"])
    operation = author.engine.operation(provider, command.operation)
    return {
        "id": derived_id(row["id"], "effect"),
        "task_id": row["id"],
        "root_id": row["root_id"],
        "provider_id": provider.id,
        "operation": operation.name,
        "effect": operation.effect,
        "stoppable": type(command).cancel is not ExternalJob.cancel,
        # What takes something back is not taken back itself.
        "undoable": _undoable(command) and row["undoes_id"] is None,
    }


def _undoable(command: ExternalJob[Any]) -> bool:
    return type(command).undo is not ExternalJob.undo


class Promised:
    """Tasks, effects, their order and their locks, to be written all or none."""

    def __init__(self, author: EngineTx) -> None:
        self._author = author
        self._level = 1
        self._names = Names(author.store)
        self.tasks: list[dict[str, Any]] = []
        self.effects: list[dict[str, Any]] = []
        self.needs: list[tuple[str, str]] = []
        self.locks: list[Lock] = []

    def add_children(
        self,
        parent: Mapping[str, Any],
        command: Composite[Any],
        children: object,
        earlier: Sequence[Task] = (),
    ) -> int:
        """Add a composite's children, and theirs; returns how many it has. `earlier`:
        its children of phases before, which have all ended well."""
        before = {task.key: task.id for task in earlier}
        plan_of = checked_plan(command, children, before)
        room = MOST_TASKS - len(self.tasks)
        if len(plan_of) > room:
            raise BadInput(
                f"{type(command).__name__} plans {len(plan_of)} children; one plan has "
                f"room for {MOST_TASKS} tasks.",
                hint="Do it in parts: several commands, or `next_phase`.",
            )
        ids = dict(before)
        for place, key in enumerate(plan_of, start=len(before)):
            ids[key] = derived_id(parent["id"], key, place)
        for key, child in plan_of.items():
            open_needs = [ids[one] for one in child.after if one not in before]
            self._add(parent, key, child, ids[key], len(open_needs))
            self.needs.extend((ids[key], ids[one]) for one in child.after)
        return len(plan_of)

    def add_effect(self, row: Mapping[str, Any], command: ExternalJob[Any]) -> None:
        """Add the effect of a task that has none yet."""
        self.effects.append(effect_row(self._author, self._names, row, command))

    def add_undo(
        self,
        root: Mapping[str, Any],
        effect_id: str,
        command: ExternalJob[Any],
        earlier: int,
    ) -> None:
        """Add the step of a root's undo that takes an effect back, after so many
        earlier steps. Its locks and its `check` come when it is claimed, since they may
        fail, and it must not."""
        key = f"undo {effect_id}"
        # Behind all that was planned before, in the order in which it is taken back.
        place = FIRST_UNDO + earlier + len(self.tasks)
        task_id = derived_id(root["id"], key, place)
        known = describe.resolve(self._names, command)
        sealed = seal(self._author, known, task_id)
        row = self._row(root, key, Child(sealed, weight=0), task_id)
        self.tasks.append(row | {"undoes_id": effect_id})
        self.add_effect(self.tasks[-1], command)

    def write(self) -> None:
        """Insert everything; the locks are the caller's to take."""
        tx = self._author.store
        tasks.insert(tx, self.tasks)
        placeholders.insert(tx, self.effects)
        tasks.needs(tx, self.needs)

    def _add(
        self,
        parent: Mapping[str, Any],
        key: str,
        child: Child,
        task_id: str,
        waits_for: int,
    ) -> None:
        author = self._author
        command = describe.resolve(self._names, child.command)
        in_tx(lambda: command.check(author))
        command = seal(author, command, task_id)
        row = self._row(parent, key, replace(child, command=command), task_id)
        if waits_for:
            row |= {"state": TaskState.WAITING, "pending": waits_for}
        self.tasks.append(row)
        self.locks.extend(in_tx(lambda: checked(row["command"], command.locks())))
        if isinstance(command, ExternalJob):
            self.add_effect(row, command)
        elif isinstance(command, Composite) and not waits_for:
            # Its plan cannot depend on results: promise it with everything else.
            count = self._add_within(row, command)
            waits = {"state": TaskState.WAITING, "pending": count}
            row |= waits if count else {"step": Step.FINISH}

    def _row(
        self, parent: Mapping[str, Any], key: str, child: Child, task_id: str
    ) -> dict[str, Any]:
        """The row of a child whose command is resolved and sealed."""
        row = describe.row(
            self._author,
            self._names,
            child.command,
            task_id=task_id,
            owner=parent["owner"],
            priority=parent["priority"],
            root_id=parent["root_id"],
            parent_id=parent["id"],
            key=key,
            weight=child.weight,
        )
        row |= {"state": TaskState.QUEUED, "step": Step.RUN}
        return row | {"restored": parent["restored"], "undoes_id": None}

    def _add_within(self, row: Mapping[str, Any], command: Composite[Any]) -> int:
        """Add the children of a composite that is itself in this plan."""
        self._level += 1
        if self._level > MOST_LEVELS:
            raise BadInput(
                f"{type(command).__name__} lies {MOST_LEVELS} levels deep in its own "
                f"plan, or in others': does it plan itself?"
            )
        theirs = in_tx(lambda: command.children(self._author))
        count = self.add_children(row, command, theirs)
        self._level -= 1
        return count


def checked_plan(
    command: Composite[Any], children: object, earlier: Mapping[str, str]
) -> dict[str, Child]:
    """The children as `Child`; raises `BadInput` for anything that is no plan: no
    mapping, no commands, unknown or used keys, circles."""
    name = type(command).__name__
    if not isinstance(children, Mapping):
        method = "next_phase" if earlier else "children"
        raise BadInput(f"{name}.{method} returned {children!r}, which is no mapping.")
    plan_of: dict[str, Child] = {}
    for key, child in children.items():
        one = child if isinstance(child, Child) else Child(child)
        if not isinstance(key, str) or not 0 < len(key) <= 200:
            raise BadInput(f"{name}: {key!r} cannot be a child's key.")
        if not isinstance(one.command, Command):
            raise BadInput(f"{name}: child {key!r} is {one.command!r}, no command.")
        if isinstance(one.after, str) or not isinstance(one.after, Iterable):
            raise BadInput(
                f"{name}: {key!r} has after={one.after!r}, no tuple of keys."
            )
        if key in earlier:
            raise BadInput(f"{name}: an earlier phase has a child {key!r} already.")
        if not isinstance(one.weight, int) or not 0 <= one.weight <= MOST_WEIGHT:
            raise BadInput(
                f"{name}: child {key!r} has the weight {one.weight!r}; it is a whole "
                f"number from 0 to {MOST_WEIGHT}."
            )
        plan_of[key] = replace(one, after=tuple(dict.fromkeys(one.after)))
    _check_order(name, plan_of, earlier)
    return plan_of


def _check_order(
    name: str, plan_of: Mapping[str, Child], earlier: Iterable[str]
) -> None:
    known = {*plan_of, *earlier}
    for key, child in plan_of.items():
        unknown = sorted(set(child.after) - known)
        if unknown:
            raise BadInput(
                f"{name}: {key!r} comes after {unknown[0]!r}, which is not in the plan."
            )
    try:
        TopologicalSorter({key: one.after for key, one in plan_of.items()}).prepare()
    except CycleError as error:
        circle = ", ".join(sorted(set(error.args[1])))
        raise BadInput(f"{name}: a circle of after: {circle}.") from None


def needs_a_lock(effects: Iterable[Mapping[str, Any]]) -> bool:
    """True when an effect can only be told from another of ours by there being none: a
    list of the provider's tasks does not say whose they are."""
    return any(effect["effect"] is EffectClass.TASKS for effect in effects)
