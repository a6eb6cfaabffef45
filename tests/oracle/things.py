"""Things: what the model is made of. By names that tell where they are: `r2/a` is the
child `a` of the second root, `r2/a#1` its second effect, `r2/undo0` the first step that
takes something back."""

from dataclasses import dataclass, field
from typing import Any

from earmark.domain.command import Command, ExternalJob, WhenLocked
from earmark.domain.connector import EffectClass
from earmark.domain.ids import derived_id
from tests.oracle.site import OPERATIONS

GOOD = ("ok", "warned")
#: Something may be at the provider, and nobody has accounted for it (invariant 3).
OPEN = ("sending", "bound", "in_doubt", "held")


@dataclass
class Send:
    """One time that an effect was asked for. `over`: since when its sender can send no
    more; None while it may."""

    number: int
    sender: str
    at: float
    over: float | None = None
    answered: bool = False
    #: The code of a definite no.
    refused: str = ""


@dataclass
class Effect:
    """A promised effect. `due`: somebody is to ask the provider about it."""

    name: str
    #: The token that is sent.
    id: str
    effect: EffectClass
    state: str = "planned"
    handle: str | None = None
    send: int = 0
    sends: list[Send] = field(default_factory=list)
    resend: bool = False
    first_sent: float | None = None
    doubt_since: float | None = None
    due: bool = False
    decided: bool = False
    asked_to_stop: float | None = None
    #: The handle that a late answer named.
    heard: str | None = None
    ended_well: bool = False
    #: Its command says how to take it back; and nothing of it is left.
    undoable: bool = False
    undone: bool = False

    @property
    def open_sends(self) -> list[Send]:
        """Those that may still leave, as far as anybody knows."""
        return [one for one in self.sends if one.over is None and not one.answered]

    def landed_by(self) -> float | None:
        """From when on nothing of it can land any more; None: nobody knows (rule 1)."""
        if self.open_sends:
            return None
        horizon = OPERATIONS[self.effect].max_in_flight.total_seconds()
        unanswered = (one for one in self.sends if not one.answered)
        return max((float(it.over or 0) + horizon for it in unanswered), default=-1.0)

    def may_come_again_until(self, now: float) -> float | None:
        """Until when a request that was overtaken by another may still arrive; None
        when none can, or the provider knows its token then."""
        if len(self.sends) < 2:
            return None
        operation = OPERATIONS[self.effect]
        if operation.token_life is not None:
            assert self.first_sent is not None
            ends = self.first_sent + operation.token_life.total_seconds()
            if self.sends[-1].at + operation.longest_way.total_seconds() < ends:
                return None
        landed = self.landed_by()
        if landed is None:
            return now + OPERATIONS[self.effect].poll_seconds
        return landed if landed > now else None


@dataclass
class Error:
    """What a bad end tells programs: a code, and the titles of what is left behind at
    providers, and of what was taken back."""

    code: str
    left: frozenset[str] = frozenset()
    undone: tuple[str, ...] = ()


@dataclass
class Task:
    """One run of a command."""

    name: str
    #: Claims go by priority, then by this.
    id: str
    command: Command[Any]
    priority: int
    parent: "Task | None"
    zone: str
    after: tuple[str, ...] = ()
    children: dict[str, "Task"] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    state: str = "queued"
    step: str = "run"
    outcome: str | None = None
    verdict: str | None = None
    error: Error | None = None
    pending: int = 0
    attempt: int = 0
    tries: int = 0
    recoveries: int = 0
    worker: str | None = None
    stop: bool = False
    cancelled_by: str | None = None
    retry_of: str | None = None
    run_after: float = 0
    deadline: float | None = None
    start_by: float | None = None
    end_by: float | None = None
    started: float | None = None
    finished: float | None = None
    #: Of a root: what takes back what was done. Of those: what it takes back.
    steps: dict[str, "Task"] = field(default_factory=dict)
    undoes: Effect | None = None

    @property
    def root(self) -> "Task":
        return self if self.parent is None else self.parent.root

    @property
    def effect(self) -> Effect | None:
        """The newest is the one that counts."""
        return self.effects[-1] if self.effects else None

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def well(self) -> bool:
        return self.outcome in GOOD

    def family(self) -> list["Task"]:
        """It and all below it, parents first."""
        return [*self.parts(), *self.steps.values()]

    def parts(self) -> list["Task"]:
        """The same without what takes something back."""
        below = [one for child in self.children.values() for one in child.parts()]
        return [self, *below]


def waits_for_locks(task: Task) -> bool:
    """Only a root may, and only if its command says so."""
    return task.parent is None and task.command.when_locked is WhenLocked.QUEUE


def new_effect(task: Task, command: ExternalJob[Any]) -> None:
    """Promise the effect of a task: the first, or in place of one that failed."""
    before = task.effect
    token = derived_id(before.id, "again") if before else derived_id(task.id, "effect")
    name = f"{task.name}#{len(task.effects)}"
    task.effects.append(
        Effect(
            name,
            token,
            EffectClass(command.operation),
            undoable=task.undoes is None and type(command).undo is not ExternalJob.undo,
        )
    )
