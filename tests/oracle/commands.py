"""What the oracle asks for: commands of every class and policy. The model reads what
they declare, as anybody may; what that means it says by itself."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import (
    Action,
    Child,
    Command,
    Composite,
    Deadlines,
    ExternalJob,
    OnRestart,
    Retry,
    WhenLocked,
)
from earmark.domain.errors import EarmarkError
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.refs import ProviderRef
from tests.oracle.site import AGAIN, World, world_of

RETRY = Retry(attempts=3, first=timedelta(seconds=10), jitter=0, on=frozenset({AGAIN}))
_LOCK = {"x": exclusive, "s": shared}


def locks_of(words: str) -> list[Lock]:
    """`x:a s:b` is an exclusive lock of a, and a shared one of b."""
    pairs = (word.split(":") for word in words.split())
    return [_LOCK[mode]("thing", name) for mode, name in pairs]


class Job(ExternalJob[str]):
    """One effect; here of class `token`, which can be asked to stop."""

    title = "{what}"
    operation: ClassVar[str] = "token"
    retry = RETRY
    provider: ProviderRef
    what: str
    lock: str = ""

    def locks(self) -> Sequence[Lock]:
        return locks_of(self.lock)

    def prepare(self, ctx: Ctx) -> None:
        ctx.connect(World).prepare(ctx)

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(World).send(ctx)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(World).find(ctx)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return ctx.connect(World).poll(job)


class Token(Job):
    def cancel(self, ctx: Ctx, job: str) -> None:
        ctx.connect(World).stop(job)


class Tag(Job):
    operation = "tag"


class Absolute(Job):
    operation = "absolute"


class Unmake(Absolute):
    """Takes something back; asked for by an undo alone."""


class Undone(Token):
    """Can be taken back, by one who has the thing for himself."""

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        world_of(tx).undo(tx)
        return self.taken_back_by()

    def taken_back_by(self) -> ExternalJob[Any] | None:
        """What does so; None when nothing is left of it anyway."""
        lock = self.lock.replace("s:", "x:")
        return Unmake(provider=self.provider, what=f"undo of {self.what}", lock=lock)


class Named(Undone):
    """The same, where the name decides whether it is there."""

    operation = "identity"


class Passing(Undone):
    """Leaves nothing behind."""

    def taken_back_by(self) -> ExternalJob[Any] | None:
        return None


class Blind(Job):
    operation = "none"


class OrFail(Tag):
    on_restart = OnRestart.FAIL


class InTurn(Tag):
    when_locked = WhenLocked.QUEUE


class Soon(Token):
    deadlines = Deadlines(start=30)


class Quick(Token):
    deadlines = Deadlines(run=100)


class Special(Token):
    role = "special"


class Newer(Tag):
    version = 2


class Look(Action[str]):
    """Promises no effect."""

    title = "{what}"
    retry = RETRY
    provider: ProviderRef
    what: str
    lock: str = ""

    def locks(self) -> Sequence[Lock]:
        return locks_of(self.lock)

    def run(self, ctx: Ctx) -> str:
        return ctx.connect(World).act(ctx)


class Part(BaseModel):
    """A child of a plan: which command, after which siblings."""

    kind: str
    after: tuple[str, ...] = ()
    lock: str = ""
    parts: tuple["Part", ...] = ()


class Plan(Composite[str]):
    """Its children are its parts, called a, b, c …"""

    title = "{what}"
    provider: ProviderRef
    what: str
    lock: str = ""
    parts: tuple[Part, ...] = ()
    broken: ClassVar[bool] = False

    def locks(self) -> Sequence[Lock]:
        return locks_of(self.lock)

    def children(self, tx: Tx | None) -> Mapping[str, Command[Any] | Child]:
        return {
            key: Child(
                make(part.kind, self.provider, key, part.lock, part.parts), part.after
            )
            for key, part in zip("abcdefghijkl", self.parts, strict=False)
        }

    def finish(self, tx: Tx, results: Results) -> str:
        if self.broken:
            raise EarmarkError("The author's mistake.", code="broken")
        return "all"


class PlanOrFail(Plan):
    on_restart = OnRestart.FAIL


class PlanInTurn(Plan):
    when_locked = WhenLocked.QUEUE


class QuickPlan(Plan):
    deadlines = Deadlines(run=100)


class BrokenPlan(Plan):
    broken = True


ALL: tuple[type[Command[Any]], ...] = (
    Token, Tag, Absolute, Blind, OrFail, InTurn, Soon, Quick, Special, Newer, Look,
    Undone, Named, Passing, Plan, PlanOrFail, PlanInTurn, QuickPlan, BrokenPlan,
)  # fmt: skip
#: With what only an undo asks for.
KNOWN: tuple[type[Command[Any]], ...] = (*ALL, Unmake)
KINDS = {kind.__name__: kind for kind in ALL}
SINGLE = [kind.__name__ for kind in ALL if not issubclass(kind, Composite)]
PLANS = [kind.__name__ for kind in ALL if issubclass(kind, Composite)]


def make(
    kind: str, provider: str, what: str, lock: str = "", parts: tuple[Part, ...] = ()
) -> Command[Any]:
    """A command by its kind's name."""
    fields: dict[str, Any] = {"provider": provider, "what": what, "lock": lock}
    if kind in PLANS:
        fields["parts"] = parts
    return KINDS[kind](**fields)
