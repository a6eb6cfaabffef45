"""Checks: what is wrong after a schedule, read from the database and the worlds."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from earmark.domain.connector import EffectClass
from earmark.domain.states import PlaceholderState, Step, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.runtime import Engine
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as table
from earmark.testing.report import Mistake
from earmark.testing.schedule import Fault, Schedule
from earmark.testing.wire import Made, Wire

#: Where the provider keeps the token: what is made must have it.
_KEEPS_TOKEN = (EffectClass.TOKEN, EffectClass.TAG)
_HARMLESS = {Fault.DROP, Fault.LOSE, Fault.LATE, Fault.REPEAT}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong; `whose` is the command's name."""

    mistake: Mistake
    whose: str
    text: str


@dataclass(frozen=True, slots=True)
class Raised:
    """What an author's method raised that tells nothing of a provider."""

    whose: str
    method: str
    error: str


@dataclass(frozen=True, slots=True)
class Usual:
    """What an undisturbed run does, by the place in the plan: how many effects each
    promise has, and how many of them stay."""

    makes: Mapping[str, int]
    stays: Mapping[str, int]


class Aftermath:
    """What a schedule has left, in our rows and in the worlds."""

    def __init__(self, engine: Engine, wire: Wire, asked: Sequence[Task]) -> None:
        def read(tx: Transaction) -> None:
            ids = [task.id for task in asked]
            self.roots = [tasks.get(tx, one) for one in ids]
            below = [one for root in ids for one in tasks.descendants(tx, root)]
            self.tasks = {task.id: task for task in [*self.roots, *below]}
            query = sa.select(table).where(table.c.task_id.in_(list(self.tasks)))
            rows = [placeholders.from_row(row) for row in tx.execute(query)]
            self.effects = {row.id: row for row in rows}

        engine.read(read)
        self._engine = engine
        self._installation = engine.installation
        #: Whose request got no reply.
        self.unanswered = {it.token for _, it in wire.seen.changes if it.unanswered}
        self.made: dict[str, list[Made]] = defaultdict(list)
        self.nobodys: list[Made] = []
        for made in wire.made():
            owner = made.by or self.token_of(made)
            if owner in self.effects:
                self.made[owner].append(made)
            else:
                self.nobodys.append(made)

    def token_of(self, made: Made) -> str:
        """The token that a thing was asked for with; a mark holds it too."""
        return made.effect.token.removeprefix(f"{self._installation}.")

    def task_of(self, token: str) -> Task:
        """Whose promise it is."""
        return self.tasks[self.effects[token].task_id]

    def place(self, task: Task) -> str:
        """Where it stands in the plan, the same in every run."""
        above = self.tasks.get(task.parent_id or "")
        return f"{self.place(above)}/{task.key}" if above is not None else ""

    def newest(self, task: Task) -> Placeholder | None:
        """The promise of its that counts; there is one for each try."""
        own = [one for one in self.effects.values() if one.task_id == task.id]
        return max(own, key=lambda one: one.id, default=None)

    def undone_by(self, token: str) -> Task | None:
        """The step that took back what was promised with it."""
        steps = (one for one in self.tasks.values() if one.undoes_id == token)
        return next(steps, None)

    def last_word(self, task: Task) -> str:
        """What it says of itself; else the last line of its log."""
        lines = self._engine.read(lambda tx: journal.lines(tx, task.id))
        return task.message or (lines[-1].text if lines else "it says nothing")

    def held(self) -> list[Task]:
        """What was left to a person."""
        return [task for task in self.tasks.values() if task.state == "held"]

    def story(self) -> list[str]:
        """Every task's log, in the order of time; with its title where there are
        several."""
        lines = self._engine.read(
            lambda tx: [
                (line.at, task.title, line.text)
                for task in self.tasks.values()
                for line in journal.lines(tx, task.id)
            ]
        )
        alone = len(self.tasks) == 1
        ordered = sorted(lines, key=lambda line: line[0])
        return [text if alone else f"{title}: {text}" for _, title, text in ordered]

    def usual(self) -> Usual:
        """What this run did, to hold others against."""
        makes: dict[str, int] = {}
        stays: dict[str, int] = {}
        for token, made in self.made.items():
            place = self.place(self.task_of(token))
            makes[place] = len(made)
            stays[place] = sum(one.effect.there for one in made)
        return Usual(makes, stays)


def without_token(after: Aftermath) -> Iterator[Wrong]:
    """Made in a send, or elsewhere, and the provider was not told for which promise."""
    for token, made in after.made.items():
        promise, whose = after.effects[token], after.task_of(token).command
        wrong = [one for one in made if after.token_of(one) != token]
        if wrong and promise.effect in _KEEPS_TOKEN:
            yield _tokenless(wrong[0], whose)
    classes = {promise.effect for promise in after.effects.values()}
    if after.nobodys and after.roots and classes <= set(_KEEPS_TOKEN):
        yield _tokenless(after.nobodys[0], after.roots[0].command)


def _tokenless(made: Made, whose: str) -> Wrong:
    came = f"token {made.effect.token!r}" if made.effect.token else "no token"
    text = f"{whose} had {made.effect.id} made with {came}, instead of ctx.token."
    return Wrong(Mistake.NO_TOKEN, whose, text)


def doubled(after: Aftermath, usual: Usual) -> Iterator[Wrong]:
    """One promise, several effects."""
    for token, made in after.made.items():
        task, promise = after.task_of(token), after.effects[token]
        if len(made) <= max(1, usual.makes.get(after.place(task), 0)):
            continue
        ids = [one.effect.id for one in made]
        text = f"one promise of {task.command} has {len(made)} effects: {_list(ids)}."
        if promise.effect == EffectClass.IDENTITY and len(set(ids)) > 1:
            text = f"{task.command} chose another name at each send: {_list(ids)}."
            yield Wrong(Mistake.NO_TOKEN, task.command, text)
        else:
            yield Wrong(Mistake.DOUBLED, task.command, text)


def lost(after: Aftermath, usual: Usual) -> Iterator[Wrong]:
    """Reported well, and not there."""
    for promise in after.effects.values():
        task = after.tasks[promise.task_id]
        if not _ended_well(promise, task):
            continue
        place, made = after.place(task), after.made.get(promise.id, [])
        there = sum(one.effect.there for one in made)
        root = after.tasks[task.root_id]
        if not made and usual.makes.get(place):
            text = f"{task.command} ended {task.outcome}, and nothing of it was made."
        elif root.went_well and not there and usual.stays.get(place):
            text = f"{task.command} ended {task.outcome}, and it is gone."
        else:
            continue
        yield Wrong(Mistake.LOST, task.command, text)


def _ended_well(promise: Placeholder, task: Task) -> bool:
    settled = promise.state is PlaceholderState.SETTLED
    return task.went_well and settled and promise.effect != EffectClass.ABSOLUTE


def left_behind(
    after: Aftermath, schedule: Schedule, may_leave: Container[str]
) -> Iterator[Wrong]:
    """The run failed, and something of it is still there. A single job that was
    cancelled may have ended before it was stopped."""
    for root in after.roots:
        family = [task for task in after.tasks.values() if task.root_id == root.id]
        if not root.done or root.went_well or any(t.state == "held" for t in family):
            continue
        if schedule.cancel_at is not None and len(family) == 1:
            continue
        for token, made in after.made.items():
            task = after.task_of(token)
            left = [one.effect.id for one in made if one.effect.there]
            if left and task.root_id == root.id and task.command not in may_leave:
                ended = f"{root.command} ended {root.outcome}"
                step = after.undone_by(token)
                if step is None:
                    text = f"{ended}, and {_list(left)} of {task.command} stays."
                    yield Wrong(Mistake.NO_UNDO, task.command, text)
                else:
                    text = (
                        f"{ended}, {step.command} took back what {task.command} did "
                        f"and ended {step.outcome}, and {_list(left)} stays."
                    )
                    yield Wrong(Mistake.UNDO_VOID, step.command, text)


def untaken(
    after: Aftermath,
    schedule: Schedule,
    raised: Sequence[Raised],
    may_leave: Container[str],
) -> Iterator[Wrong]:
    """A person is to take it back, since the author's code cannot."""
    for task in after.held():
        if task.undoes_id is None and task.step is not Step.UNDO:
            continue
        one = next((one for one in raised if one.error in task.message), None)
        if one is not None:
            text = f"{one.whose}.{one.method} raised {one.error}, so a person must."
            yield Wrong(Mistake.UNDO_FAILS, one.whose, text)
        elif not _excused(after, schedule, task, may_leave):
            text = f"{task.command} is held: {task.message}"
            yield Wrong(Mistake.UNDO_FAILS, task.command, text)


def _excused(
    after: Aftermath, schedule: Schedule, task: Task, may_leave: Container[str]
) -> bool:
    """Whether an undo is rightly a person's. It is tried more often than anything
    befalls it, so a failure is its own; but what became of a request that something
    befell may be more than anybody can tell, and others that look the same may be in
    the way."""
    promise = after.newest(task)
    cut = any(fault is Fault.CUT for fault, _ in schedule.faults)
    unknown = (
        promise is not None
        and promise.state is PlaceholderState.HELD
        and (promise.id in after.unanswered or bool(schedule.kills) or cut)
    )
    may_stay = (
        task.undoes_id is not None
        and after.task_of(task.undoes_id).command in may_leave
    )
    return unknown or may_stay or schedule.strangers


def raised_in_peace(after: Aftermath, raised: Sequence[Raised]) -> Iterator[Wrong]:
    """Why a run that nothing befell did not go well. An error of what went well in the
    end is no reason: while asking, it says nothing about the job."""
    if all(root.went_well for root in after.roots):
        return
    every = after.tasks.values()
    well = {task.command for task in every if task.went_well}
    well -= {task.command for task in every if not task.went_well}
    for one in raised:
        if one.whose in well:
            continue
        text = f"{one.whose}.{one.method} raised {one.error}, and nothing befell it."
        yield Wrong(Mistake.ENDS_BADLY, one.whose, text)


def ends(after: Aftermath, schedule: Schedule) -> Iterator[Wrong]:
    """It failed, though nothing that befell it is a reason to; or it is held where
    nothing befell it."""
    faults = {fault for fault, _ in schedule.faults}
    excused = any(task.on_restart == "fail" for task in after.tasks.values())
    if schedule.cancel_at is not None or schedule.strangers or not faults <= _HARMLESS:
        return
    if schedule.kills and excused:
        return
    for root in after.roots:
        if root.done and not root.went_well:
            text = f"{root.command} ended {root.outcome}: {root.message}"
            yield Wrong(Mistake.ENDS_BADLY, root.command, text)
    for task in after.held() if schedule.quiet else ():
        text = f"{task.command} is held, and nothing befell it: {task.message}"
        yield Wrong(Mistake.ENDS_BADLY, task.command, text)


def unended(after: Aftermath) -> Iterator[Wrong]:
    """Neither ended nor held: those that wait for no part of theirs, nor for a part
    that comes before them."""
    open_tasks = [one for one in after.tasks.values() if not one.done]
    above = {task.parent_id for task in open_tasks}
    found = [
        task
        for task in open_tasks
        if task.id not in above and task.state is not TaskState.HELD
    ]
    waits = [task for task in found if task.state is TaskState.WAITING and task.pending]
    # Where all of them wait for others, whoever they wait for is not there.
    for task in [one for one in found if one not in waits] or waits:
        text = f"{task.command} is {task.state}: {after.last_word(task)}"
        yield Wrong(Mistake.UNENDED, task.command, text)


def _list(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more
