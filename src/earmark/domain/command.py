"""What an author writes: commands of three kinds, as frozen pydantic models.

One rule to learn: a method that takes `tx` touches only the database and runs inside
one transaction; a method that takes `ctx` touches the world and holds none.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

from earmark.domain.authoring import Ctx, Results, Returns, Tx
from earmark.domain.errors import Unsupported
from earmark.domain.lock import Lock
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.task import DEFAULT_ROLE, Task

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a command tries what provably did nothing, and how patiently.

    A send that did not leave (`NotSent`) or was not taken (`Throttled`) is tried again
    anyway; `on` names the codes of other definite failures that are worth it. Doubt is
    never retried, it is found out. The pause before attempt n is `first * factor **
    (n - 1)`, never above `longest`, shortened at random by up to `jitter` of itself so
    that many do not come back at the same instant.
    """

    attempts: int = 8
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=2)
    jitter: float = 0.2
    on: frozenset[str] = frozenset()

    def pause(self, attempt: int, luck: float = 0.0) -> timedelta:
        """How long to wait after the given attempt (1 for the first); `luck` is a
        random number from 0 to 1."""
        # The power is bounded: beyond it the pause is the longest anyway.
        whole = min(self.first * self.factor ** min(attempt - 1, 30), self.longest)
        return whole * (1 - self.jitter * luck)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long, in seconds, before somebody else is asked. No deadline ever invents an
    outcome (invariant 7).

    `call`: one call of the author's code; then it counts as hung (rule 6). `start`:
    from the request until a root is first claimed; then it expires, nothing having been
    sent. `run`: from the first claim to the end; then it is asked to stop, as by a
    person's cancel. None: no limit.
    """

    call: float = 60.0
    start: float | None = None
    run: float | None = None


class OnRestart(StrEnum):
    """What becomes of a command under which a worker was lost."""

    #: What was not sent is sent by another worker.
    RESUME = "resume"
    #: What was not sent is dropped in one transaction, and the command's verdict is
    #: failed; what is at the provider is followed to its end.
    FAIL = "fail"


class WhenLocked(StrEnum):
    """What becomes of a root whose objects another task holds."""

    #: It fails at once, naming the holder.
    REFUSE = "refuse"
    #: It waits behind the holder, first come, first served.
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One of many effects in doubt: its token, its command, the stored request, and
    when that could first have left."""

    token: str
    command: "ExternalJob[Any]"
    request: Any
    sent_at: datetime


class Command(BaseModel, Returns[R]):
    """A typed request: a frozen pydantic model whose fields are its parameters.
    Subclass `Action`, `ExternalJob` or `Composite`, not this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Shown to people; `{field}` is filled in, references by their object's name.
    title: ClassVar[str]
    #: Raise it when the parameters change; workers claim only versions they know.
    version: ClassVar[int] = 1
    #: What a worker must be allowed to do.
    role: ClassVar[str] = DEFAULT_ROLE
    #: Which failures are worth another try.
    retry: ClassVar[Retry] = Retry()
    #: How long it may take.
    deadlines: ClassVar[Deadlines] = Deadlines()
    #: What the loss of a worker means to it.
    on_restart: ClassVar[OnRestart] = OnRestart.RESUME
    #: What it does when a lock is taken.
    when_locked: ClassVar[WhenLocked] = WhenLocked.REFUSE

    def locks(self) -> Sequence[Lock]:
        """Locks that the root takes at its plan, all or none; gone with its end."""
        return ()

    def check(self, tx: Tx) -> None:
        """Raise `Rejected` when this cannot be done. Runs at enqueue, and again under
        the locks."""

    def runs_in(self, tx: Tx) -> str | None:
        """The zone to run in, for a command that names no provider; None: default."""
        return None

    def enqueue(
        self, tx: Tx, *, key: str | None = None, priority: int | None = None
    ) -> Task:
        """Queue this command in the caller's transaction and return its task.

        `key` makes a repeated request return the first one's task. Raises `BadInput`
        for references to nothing, `Rejected` when `check` refuses.
        """
        return tx.enqueue(self, key=key, priority=priority)


class Action(Command[R]):
    """Reads, or one call that may run twice (verify credentials, refresh)."""

    @abstractmethod
    def run(self, ctx: Ctx) -> R | Done[R]:
        """Do it. Whatever it raises fails the task with that error's text; a `Done`
        carries a message for people, or a warning."""

    def finish(self, tx: Tx, result: R) -> None:
        """Write our own rows, in the settling transaction."""


class ExternalJob(Command[R]):
    """One effect at a provider: sent once, found when in doubt, followed to its end."""

    #: The connector's operation; it carries the class that recovery is derived from.
    operation: ClassVar[str]

    def prepare(self, ctx: Ctx) -> Any:
        """Only read, before anything is sent; errors are plain failures.

        What it returns is stored as the request, and is `ctx.request` in every send.
        Return a `Done` when there is nothing to do ("already off").
        """
        return None

    @abstractmethod
    def send(self, ctx: Ctx) -> str:
        """Send the one changing call; return the provider's handle of the job.

        The placeholder is committed as `sending` before; its id is `ctx.token`. Raise
        `NotSent` or `Refused` when that is certain; anything else is doubt.
        """

    @abstractmethod
    def find(self, ctx: Ctx) -> Sequence[Found]:
        """Every candidate for the effect of `ctx.token`. Finding none is an answer;
        raise when the provider could not be asked.

        `ctx.request` is there as in `send`. If the store was put back to a copy that
        does not know it, asking for it runs `prepare` again, which must only read; a
        `Done` of that ends the `find`. One that asks with the command's own fields, the
        token and `ctx.results` can answer even then.
        """

    @abstractmethod
    def poll(self, ctx: Ctx, job: str) -> Running | Done[R] | Failed:
        """How the job stands. Raise `JobUnknown` when the provider has no such job."""

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[R] | Failed]:
        """Many jobs of this command at one provider, by token; answer by token.

        A token that is missing in the answer counts as unknown at the provider.
        Overriding is optional: by default the engine polls one by one.
        """
        raise Unsupported(f"{cls.__name__} is polled one by one.")

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        """Every candidate of many effects of this command at one provider, by token.

        Every token must be in the answer: one that is missing was not asked about.
        Overriding is optional: by default the engine asks one by one.
        """
        raise Unsupported(f"{cls.__name__} is looked for one by one.")

    def progressed(self, tx: Tx, running: Running) -> None:
        """Write our own rows when a poll saw progress worth showing."""

    def finish(self, tx: Tx, result: R) -> None:
        """Write our own rows, in the settling transaction."""

    def cancel(self, ctx: Ctx, job: str) -> None:
        """Ask the provider to stop the job; may be called again. How it really ended is
        told by `poll`. Raises whatever it likes: the job is followed anyway."""

    def undo(self, tx: Tx, job: str) -> Command[Any] | None:
        """The command that takes the effect back, itself an `ExternalJob` with a token
        of its own; None when nothing of it is left.

        Asked when the root has failed or was cancelled and all that was sent has ended:
        for every effect that the provider accepted, also one whose job ended badly, the
        last first. `tx.undone` tells its token, its mark and its result. Without an
        `undo`, what was done is named as left behind. The command that takes it back
        must bear being run again: one that fails is tried again, and then held
        (rule 9).
        """
        return None


@dataclass(frozen=True, slots=True)
class Child:
    """A child with its place in the plan. `after`: the keys of the siblings that must
    have ended well before it is started, and whose results it may read. `weight`: its
    part in the parent's progress."""

    command: Command[Any]
    after: tuple[str, ...] = ()
    weight: int = 1


class Composite(Command[R]):
    """A plan of children, every one of them promised before any is sent."""

    @abstractmethod
    def children(self, tx: Tx) -> Mapping[str, "Command[Any] | Child"]:
        """The whole plan, by key. Keys order progress and results."""

    def next_phase(
        self, tx: Tx, results: Results
    ) -> "Mapping[str, Command[Any] | Child]":
        """More children, once all so far have ended well, for what truly cannot be
        known before. Called again after each phase until it returns none; the keys must
        be new, and `after` may name children of earlier phases."""
        return {}

    @abstractmethod
    def finish(self, tx: Tx, results: Results) -> R:
        """All children ended well: write our own rows and return the result."""
