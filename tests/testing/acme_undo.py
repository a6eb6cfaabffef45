"""Commands for Acme that take back what is not theirs, and one that stands in its own
way."""

from collections.abc import Sequence
from typing import Any

from earmark import (
    Command,
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    Images,
    ProviderRef,
    Refused,
    Rejected,
    Results,
    Running,
    Tx,
)
from tests.testing.acme import (
    LookAround,
    MakeNamedThing,
    MakePair,
    MakeThing,
    RemoveThing,
    Things,
)


class RemoveByName(ExternalJob[str]):
    """Removes everything of that name."""

    title = "Remove every {name}"
    operation = "thing.absolute"
    provider: ProviderRef
    name: str

    def send(self, ctx: Ctx) -> str:
        for thing in self.chosen(ctx):
            ctx.connect(Things).delete(thing)
        return self.name

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [] if self.named(ctx) else [Found(self.name)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Running() if self.named(ctx) else Done(job)

    def chosen(self, ctx: Ctx) -> Sequence[str]:
        return self.named(ctx)

    def named(self, ctx: Ctx) -> Sequence[str]:
        things = ctx.connect(Things).all()
        return [thing.id for thing in things if thing.name == self.name]


class RemoveFirst(RemoveByName):
    """Removes the first thing that is there."""

    def chosen(self, ctx: Ctx) -> Sequence[str]:
        return [thing.id for thing in ctx.connect(Things).all()[:1]]

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return []

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Done(job)


class MakeUndoneByName(MakeThing):
    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveByName(provider=self.provider, name=self.name)


class MakeUndoneByPlace(MakeThing):
    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveFirst(provider=self.provider, name=self.name)


class UndoesByName(MakePair):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneByName(provider=self.provider, name=name)

    def finish(self, tx: Tx, results: Results) -> str:
        return "both"


class UndoesByPlace(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneByPlace(provider=self.provider, name=name)


class PutThing(MakeNamedThing):
    """Right, and in its own way: there is one of that name."""

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).put(self.name)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveThing(provider=self.provider, thing=job)


class PutPair(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return PutThing(provider=self.provider, name=name)


class MakeUndoneBadly(MakeThing):
    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        raise NameError("RemoveThings")


class RemoveBadly(RemoveThing):
    def prepare(self, ctx: Ctx) -> Any:
        raise KeyError("thing")


class RemoveNothing(RemoveThing):
    """Deletes nothing, and says that it is gone."""

    def send(self, ctx: Ctx) -> str:
        return self.thing

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Done(job)


class MakeUndoneByBadStep(MakeThing):
    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveBadly(provider=self.provider, thing=job)


class MakeUndoneByNothing(MakeThing):
    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveNothing(provider=self.provider, thing=job)


class UndoRaises(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneBadly(provider=self.provider, name=name)


class StepBackRaises(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneByBadStep(provider=self.provider, name=name)


class UndoesNothing(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneByNothing(provider=self.provider, name=name)


class MakeUndoneByReading(MakeThing):
    """What takes it back has no effect, so that nobody could tell that it is done."""

    def undo(self, tx: Tx, job: str) -> Any:
        return LookAround(provider=self.provider)


class RemoveByResult(RemoveThing):
    """A step of an undo comes after nothing whose result it could read."""

    def prepare(self, ctx: Ctx) -> Any:
        return ctx.results.of("left", RemoveThing)


class RemoveUnsupported(RemoveThing):
    def prepare(self, ctx: Ctx) -> Any:
        ctx.connect(Images)


class SendsUnsupported(RemoveThing):
    """That is doubt each time, though nothing befell it; its look shows the truth."""

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Images)
        return self.thing


class LooksUnsupported(SendsUnsupported):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        ctx.connect(Images)
        return []


class RemoveRejected(RemoveThing):
    def check(self, tx: Tx) -> None:
        raise Rejected("Nothing is removed here.")


class RemoveRefused(RemoveThing):
    def send(self, ctx: Ctx) -> str:
        raise Refused("Acme removes nothing.", code="never")


class RemoveBlindly(RemoveThing):
    """Right: nobody can ask, so a lost reply is a person's."""

    operation = "thing.none"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return []


class MakeUndoneBy(MakeThing):
    """Taken back by the command of that name."""

    by: str

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        step: type[RemoveThing] = globals()[self.by]
        return step(provider=self.provider, thing=job)


class UndoReturnsNoJob(UndoesByName):
    def child(self, name: str) -> Command[Any]:
        return MakeUndoneByReading(provider=self.provider, name=name)


class UndoneBy(UndoesByName):
    by: str

    def child(self, name: str) -> Command[Any]:
        return MakeUndoneBy(provider=self.provider, name=name, by=self.by)
