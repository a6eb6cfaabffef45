"""What an author writes: commands of three kinds, as frozen pydantic models.

One rule to learn: a method that takes `tx` touches only the database and runs inside
one transaction; a method that takes `ctx` touches the world and holds none.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
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
    """How often a send that provably did not leave is tried, and how patiently.

    The pause before attempt n is `first * factor ** (n - 1)`, never above `longest`.
    """

    attempts: int = 8
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=2)

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after the given attempt (1 for the first)."""
        # The power is bounded: beyond it the pause is the longest anyway.
        return min(self.first * self.factor ** min(attempt - 1, 30), self.longest)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that one call of the author's code may take before it counts as hung."""

    call: float = 60.0


class Command(BaseModel, Returns[R]):
    """A typed request. Subclass `Action`, `ExternalJob` or `Composite`, not this.

    Class attributes: `title` (shown to people; `{field}` is filled in, references by
    their object's name), `version` (raise it when the parameters change), `role` (what
    a worker must be allowed to do), `retry`, `deadlines`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    version: ClassVar[int] = 1
    role: ClassVar[str] = DEFAULT_ROLE
    retry: ClassVar[Retry] = Retry()
    deadlines: ClassVar[Deadlines] = Deadlines()

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
        raise when the provider could not be asked."""

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

    def progressed(self, tx: Tx, running: Running) -> None:
        """Write our own rows when a poll saw progress worth showing."""

    def finish(self, tx: Tx, result: R) -> None:
        """Write our own rows, in the settling transaction."""

    def cancel(self, ctx: Ctx, job: str) -> None:
        """Ask the provider to stop the job; may be called again."""

    def undo(self, tx: Tx, job: str) -> "Command[Any] | None":
        """The command that takes the effect back; None when nothing is left behind."""
        return None


@dataclass(frozen=True, slots=True)
class Child:
    """A child with its place in the plan: after which siblings, with which weight in
    the parent's progress."""

    command: Command[Any]
    after: tuple[str, ...] = ()
    weight: int = 1


class Composite(Command[R]):
    """A plan of children, every one of them promised before any is sent."""

    @abstractmethod
    def children(self, tx: Tx) -> Mapping[str, "Command[Any] | Child"]:
        """The whole plan, by key. Keys order progress and results."""

    @abstractmethod
    def finish(self, tx: Tx, results: Results) -> R:
        """All children ended well: write our own rows and return the result."""
