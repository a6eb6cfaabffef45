"""A fake of a provider for the tests of `verify`, with an operation of each class; and
commands for it, right ones first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from earmark import (
    Action,
    Child,
    Command,
    Composite,
    Ctx,
    Done,
    Doubt,
    ExternalJob,
    Failed,
    Found,
    Job,
    JobUnknown,
    Lock,
    NotSent,
    ProviderRef,
    Refused,
    Results,
    Running,
    Tx,
    Unsupported,
    exclusive,
)
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.testing import Effect

C = TypeVar("C")


@dataclass
class Thing:
    id: str
    name: str
    token: str
    there: bool = True


class Things:
    """Acme's client, and the site behind it."""

    def __init__(self) -> None:
        self.made: list[Thing] = []
        self.told: set[str] = set()

    def create(self, name: str, token: str = "") -> str:
        """A token that is known is answered with the first request's thing."""
        for thing in self.made:
            if token and thing.token == token:
                return thing.id
        return self.make(name, token).id

    def create_marked(self, name: str, mark: str = "") -> str:
        """The mark is kept, and nobody looks whether there is one already."""
        return self.make(name, mark).id

    def put(self, name: str) -> str:
        """There is one of each name; the name is its id."""
        if name in [thing.id for thing in self.made if thing.there]:
            raise Refused(f"There is a {name}.", code="exists")
        self.made.append(Thing(name, name, ""))
        return name

    def make(self, name: str, token: str) -> Thing:
        thing = Thing(f"thing-{len(self.made) + 1}", name, token)
        self.made.append(thing)
        return thing

    def tell(self, id: str) -> bool:
        """How a job ended is told once."""
        told = id in self.told
        self.told.add(id)
        return not told

    def delete(self, id: str) -> str:
        for thing in self.made:
            thing.there = thing.there and thing.id != id
        return id

    def all(self) -> Sequence[Thing]:
        return [thing for thing in self.made if thing.there]

    def get(self, id: str) -> Thing | None:
        return next((thing for thing in self.all() if thing.id == id), None)


class NoSettings(BaseModel):
    pass


class AcmeConnector:
    kind = "acme"
    title = "Acme things"
    settings: type[BaseModel] = NoSettings
    secrets: Mapping[str, str] = {}
    operations: Mapping[str, Operation] = {
        f"thing.{effect}": Operation(
            f"thing.{effect}",
            effect,
            source="Acme API guide 1",
            max_in_flight=timedelta(seconds=30),
        )
        for effect in EffectClass
    }

    def __init__(self, things: Things) -> None:
        self.things = things

    def open(self, config: ProviderConfig) -> "AcmeConnector":
        return self

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        if capability is not Things:
            raise Unsupported(f"Acme has no {capability.__name__}.")
        return cast(C, self.things)

    def close(self) -> None:
        pass


class FakeAcme:
    """The world."""

    def __init__(self) -> None:
        self.things = Things()
        self.connector = AcmeConnector(self.things)

    def reset(self) -> None:
        self.things.made.clear()
        self.things.told.clear()

    def effects(self) -> Sequence[Effect]:
        return [Effect(one.token, one.id, one.there) for one in self.things.made]

    def stranger(self, like: Effect) -> None:
        thing = self.things.get(like.id)
        assert thing is not None
        self.things.make(thing.name, "somebody-else")


class MakeThing(ExternalJob[str]):
    """Right: the provider deduplicates the token."""

    title = "Make {name}"
    operation = "thing.token"
    provider: ProviderRef = "world"
    name: str = "box"

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).create(self.name, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things).all()
        return [Found(it.id, mark=it.token) for it in things if it.name == self.name]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        thing = ctx.connect(Things).get(job)
        if thing is None:
            raise JobUnknown(f"There is no {job}.")
        return Done(thing.id)


class MakeMarkedThing(MakeThing):
    """Right: found by the mark inside."""

    operation = "thing.tag"

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).create_marked(self.name, mark=ctx.token)


class MakeThingWithMark(MakeMarkedThing):
    """Right: the whole mark is inside, and is what the look shows."""

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).create_marked(self.name, mark=ctx.mark)


class MakeNamedThing(MakeThing):
    """Right: we choose the name, from the token."""

    operation = "thing.identity"

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).put(f"{self.name}-{ctx.token}")

    def find(self, ctx: Ctx) -> Sequence[Found]:
        name = f"{self.name}-{ctx.token}"
        there = ctx.connect(Things).get(name)
        return [] if there is None else [Found(name, mark=ctx.token)]


class MakeThingBlindly(MakeThing):
    """Right: nobody can ask, so a lost reply is a person's."""

    operation = "thing.none"

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).create_marked(self.name)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return []


class MakeThingAmongOthers(MakeThingBlindly):
    """Right: only a list tells, and Acme lists two jobs for one thing."""

    operation = "thing.tasks"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.name)]

    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things).all()
        return [Found(f"{kind}-{it.id}") for it in things for kind in ("make", "paint")]


class MakeThingByJob(MakeMarkedThing):
    """Right: found by its job, which Acme forgets once it has told how it ended."""

    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things)
        return [one for one in super().find(ctx) if one.id not in things.told]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        if not ctx.connect(Things).tell(job):
            raise JobUnknown(f"There is no job {job}.")
        return Done(job)


class MakeThingShownLate(MakeThing):
    """Right: Acme's client says 404 at first, and to ask too early tells nothing."""

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        if ctx.connect(Things).tell(job):
            raise LookupError(f"404: {job}")
        return super().poll(ctx, job)


class MakeThingInKeywords(MakeThing):
    """Right: it asks for many by asking for each, in keywords."""

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[str] | Failed]:
        one = cls()
        return {token: one.poll(ctx, job=job.id) for token, job in jobs.items()}

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        return {doubt.token: cls().find(ctx=ctx) for doubt in doubts}

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return super().poll(ctx=ctx, job=job)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return super().find(ctx=ctx)


class RemoveThing(ExternalJob[str]):
    """Right: to be gone is a state."""

    title = "Remove {thing}"
    operation = "thing.absolute"
    provider: ProviderRef
    thing: str

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).delete(self.thing)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        gone = ctx.connect(Things).get(self.thing) is None
        return [Found(self.thing, done=Done(self.thing))] if gone else []

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        gone = ctx.connect(Things).get(job) is None
        return Done(job) if gone else Running()


class MakeUndoableThing(MakeThing):
    """Right: it says how it is taken back."""

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RemoveThing(provider=self.provider, thing=job)


class MakePair(Composite[str]):
    """Right: both, or none."""

    title = "Make a pair"
    provider: ProviderRef = "world"

    def child(self, name: str) -> Command[Any]:
        return MakeUndoableThing(provider=self.provider, name=name)

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {
            "left": self.child("left"),
            "right": Child(self.child("right"), after=("left",)),
        }

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("left", MakeThing) + results.of("right", MakeThing)


class LookAround(Action[int]):
    """Right: it only reads."""

    title = "Look around"
    provider: ProviderRef = "world"

    def run(self, ctx: Ctx) -> int:
        return len(ctx.connect(Things).all())


# From here on, each makes one mistake.


class SendsWithoutToken(MakeThing):
    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Things).create(self.name)


class FinishesBadlyToo(SendsWithoutToken):
    """Two mistakes, none of which follows from the other."""

    def finish(self, tx: Tx, result: str) -> None:
        raise KeyError(result)


class FailsBesideAnother(MakePair):
    """One is shown late, the other fails: that is what the plan ends with."""

    def child(self, name: str) -> Command[Any]:
        late = MakeThingShownLate(provider=self.provider, name=name)
        return late if name == "left" else Fails(provider=self.provider, name=name)


class Fails(MakeThing):
    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Failed("There is no paint.")


class NamesAnew(MakeNamedThing):
    def send(self, ctx: Ctx) -> str:
        things = ctx.connect(Things)
        return things.put(f"{self.name}-{len(things.all())}-{id(ctx)}")


class GuessesRefused(MakeThing):
    def send(self, ctx: Ctx) -> str:
        try:
            return super().send(ctx)
        except TimeoutError as error:
            raise Refused("Acme did not answer.") from error


class GuessesNotSent(MakeMarkedThing):
    def send(self, ctx: Ctx) -> str:
        try:
            return super().send(ctx)
        except ConnectionError as error:
            raise NotSent("The connection broke.") from error


class GivesUpPolling(MakeThing):
    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        try:
            return super().poll(ctx, job)
        except TimeoutError:
            return Failed("Acme did not answer.")


class GivesUpLooking(MakeThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        try:
            return super().find(ctx)
        except TimeoutError:
            return []


class GivesUpLookingForMany(MakeThing):
    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        try:
            things = ctx.connect(Things).all()
        except TimeoutError:
            things = []
        tokens = {doubt.token for doubt in doubts}
        found = {it.token: [Found(it.id, mark=it.token)] for it in things}
        return {token: found.get(token, []) for token in tokens}


class AsksTwice(MakeMarkedThing):
    def send(self, ctx: Ctx) -> str:
        try:
            return super().send(ctx)
        except OSError:
            return super().send(ctx)


class ForgetsUndo(MakePair):
    def child(self, name: str) -> Command[Any]:
        return MakeThing(provider=self.provider, name=name)


class ForgetsUndoAlone(MakeThing):
    def finish(self, tx: Tx, result: str) -> None:
        tx.log(f"{result} is there")


class FindsByName(MakeMarkedThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things).all()
        return [Found(it.id, mark=ctx.token) for it in things if it.name == self.name]


class FindsByNameAndMark(FindsByName):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [Found(one.id, mark=ctx.mark) for one in super().find(ctx)]


class ShowsNoMark(MakeMarkedThing):
    """Its look sees it, and hands on no proof."""

    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things).all()
        return [Found(it.id) for it in things if it.token == ctx.token]


class FindsByNameUnmarked(MakeThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        things = ctx.connect(Things).all()
        return [Found(it.id) for it in things if it.name == self.name]


class ShowsAnothersMark(MakeNamedThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [Found(one.id, f"acme.{ctx.token}") for one in super().find(ctx)]


class LooksBadly(MakeMarkedThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        raise KeyError("mark")


class LooksBadlyForMany(MakeMarkedThing):
    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        things = ctx.connect(Things).all()
        tokens = {doubt.token for doubt in doubts}
        return {it.token: [Found(it.id)] for it in things if it.token in tokens}


class SeesNothing(MakeThing):
    """Sent again it heals; asked to stop meanwhile, it says that nothing is there."""

    def find(self, ctx: Ctx) -> Sequence[Found]:
        ctx.connect(Things).all()
        return []


class SeesNoName(MakeNamedThing):
    def find(self, ctx: Ctx) -> Sequence[Found]:
        ctx.connect(Things).all()
        return []


class Hopes(MakeMarkedThing):
    """Its look sees nothing."""

    def find(self, ctx: Ctx) -> Sequence[Found]:
        ctx.connect(Things).all()
        return []
