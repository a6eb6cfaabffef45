"""A faithful provider of every class inside the test's process, with a ledger; and
commands for the classes that `tests/engine/world.py` has none for.

It does what each class promises and no more: it deduplicates tokens, refuses an
identity that is there, makes a second thing where nothing keeps it from that. A request
whose sender was killed can be told to land late.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import (
    Action,
    Child,
    Command,
    Composite,
    Doubt,
    ExternalJob,
    OnRestart,
    Retry,
    WhenLocked,
)
from earmark.domain.connector import EffectClass, Operation
from earmark.domain.errors import JobUnknown, Refused, Throttled
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.refs import ProviderRef
from earmark.engine.ctx import EngineCtx
from tests.engine.world import Make, MakeTagged, ScriptedConnector, World

#: What is in flight counts as landed only once a schedule says that time has passed.
IN_FLIGHT = timedelta(hours=1)


class Ledger(World):
    """The provider's side: what it was asked, what it did, what is still on its way."""

    def __init__(self) -> None:
        super().__init__()
        #: ("send", "look" or "no", token), in order; a no is said to a send.
        self.journal: list[tuple[str, str]] = []
        self.effects: list[str] = []
        self.violations: list[str] = []
        #: Job → (token, what); of class `absolute` the job is what is to be so.
        self.made: dict[str, tuple[str, str]] = {}
        self.late: dict[str, tuple[str, EffectClass]] = {}
        self.looks: Counter[str] = Counter()
        self.stopped: set[str] = set()
        #: Tokens of what was taken back.
        self.taken: set[str] = set()
        self._throttled: set[str] = set()
        #: Called on the way in: "last check" (the deadline was asked, no byte has left)
        #: and "landed" (done, not answered yet).
        self.on_way: Callable[[str], None] = lambda name: None

    def send(self, what: str, ctx: Ctx) -> str:
        """Take a request, and do it."""
        assert isinstance(ctx, EngineCtx)
        ctx.deadline.check_before_sending()
        self.on_way("last check")
        self.journal.append(("send", ctx.token))
        if what.startswith("refused"):
            raise Refused("there is no room", code="quota")
        if what.startswith("busy") and ctx.token not in self._throttled:
            self._throttled.add(ctx.token)
            self.journal.append(("no", ctx.token))
            raise Throttled("come back later")
        job = self.land(ctx.token, what, EffectClass(ctx.placeholder.effect))
        self.on_way("landed")
        return job

    def land(self, token: str, what: str, effect: EffectClass) -> str:
        """A request arrives; returns the handle of the job."""
        if effect in (EffectClass.TOKEN, EffectClass.IDENTITY):
            if token in self.made and effect is EffectClass.IDENTITY:
                raise Refused("there is one of that name", code="exists")
            job = token
        elif effect is EffectClass.ABSOLUTE:
            job = what
        else:
            job = f"{token}/{len(self.made)}"
        if token in self.late and effect not in (
            EffectClass.TOKEN,
            EffectClass.IDENTITY,
        ):
            self.violations.append(
                f"nothing is sent again while it may still land: {what} ({effect})"
            )
        if job not in self.made:
            self.made[job] = (token, what)
            self.effects.append(token)
        if what.startswith("-"):
            self.taken.add(what.removeprefix("-"))
        return job

    def land_late(self, token: str | None = None) -> None:
        """What was on its way arrives now; of all effects, or of one."""
        for one in [token] if token else list(self.late):
            if one in self.late:
                what, effect = self.late.pop(one)
                if effect is not EffectClass.IDENTITY or one not in self.made:
                    self.land(one, what, effect)

    def find(self, token: str) -> list[Found]:
        """What carries the token; what is late arrives just after this look."""
        self.journal.append(("look", token))
        found = [Found(j, mark=t) for j, (t, _) in self.made.items() if t == token]
        self.land_late(token)
        return found

    def of_kind(self, token: str, what: str) -> list[Found]:
        """The same for who shows no marks: everything of that description."""
        self.journal.append(("look", token))
        found = [Found(job) for job, (_, w) in self.made.items() if w == what]
        self.land_late(token)
        return found

    def poll(self, job: str) -> Any:
        """Every job ends at once, and well, unless it is called bad."""
        if job not in self.made:
            raise JobUnknown("no such job")
        token, what = self.made[job]
        if what.startswith("flaky") and token == self.effects[0]:
            return Failed("not this time", code="flaky")
        return Failed("disk full") if what.startswith("bad") else Done(f"{what}!")

    def counted(self) -> Counter[str]:
        """How many effects each token has."""
        return Counter(self.effects)

    def asked_for(self) -> list[str]:
        """The token of every request that came."""
        return [token for what, token in self.journal if what == "send"]


class FaithfulConnector(ScriptedConnector):
    """The same kind with a long horizon, so that only the schedule lets it pass."""

    operations: Mapping[str, Operation] = MappingProxyType(
        {
            name: replace(operation, max_in_flight=IN_FLIGHT)
            for name, operation in ScriptedConnector.operations.items()
        }
    )


class MakeNamed(Make):
    """We choose the name; class `identity`."""

    title = "Make {what}, named"
    operation: ClassVar[str] = "identity"


class MakeSo(Make):
    """The state is what counts; class `absolute`."""

    title = "Make it {what}"
    operation = "absolute"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        world = ctx.connect(World)
        assert isinstance(world, Ledger)
        return world.of_kind(ctx.token, self.what)


class MakeListed(MakeSo):
    """The provider lists its tasks and shows no mark; class `tasks`."""

    title = "Make {what}, listed"
    operation = "tasks"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.what)]


class MakeOrFail(Make):
    """Not resumed once a worker was lost before it was sent."""

    title = "Make {what}, or fail"
    on_restart = OnRestart.FAIL


class MakeAgain(Make):
    """Tried again after a failure that its policy names."""

    title = "Make {what}, again"
    retry = Retry(on=frozenset({"flaky"}))


class MakeSlowly(MakeTagged):
    """Runs for a while, and can be stopped meanwhile."""

    title = "Make {what}, slowly"

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        world = ctx.connect(World)
        assert isinstance(world, Ledger)
        world.looks[job] += 1
        if job in world.stopped:
            return Failed("stopped", code="stopped")
        return Running(50) if world.looks[job] < 3 else super().poll(ctx, job)

    def cancel(self, ctx: Ctx, job: str) -> None:
        world = ctx.connect(World)
        assert isinstance(world, Ledger)
        world.stopped.add(job)


class MakeInTurn(MakeTagged):
    """Waits behind whoever holds the same thing."""

    title = "Make {what}, in turn"
    when_locked = WhenLocked.QUEUE

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.what)]


class MakeMany(MakeTagged):
    """Polled and looked for many at once."""

    title = "Make {what}, among many"

    @classmethod
    def poll_many(
        cls, ctx: Ctx, jobs: Mapping[str, Job]
    ) -> Mapping[str, Running | Done[str] | Failed]:
        world = ctx.connect(World)
        return {token: world.poll(job.id) for token, job in jobs.items()}

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        world = ctx.connect(World)
        return {doubt.token: world.find(doubt.token) for doubt in doubts}


class MakeInPhases(Composite[str]):
    """What comes second is known only when the first is there."""

    title = "Make {whats} in phases"
    provider: ProviderRef
    whats: tuple[str, ...]
    kind: ClassVar[type[Make]] = MakeMany
    on_restart = OnRestart.RESUME

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {
            what: self.kind(provider=self.provider, what=what) for what in self.whats
        }

    def next_phase(
        self, tx: Tx, results: Results
    ) -> Mapping[str, Command[Any] | Child]:
        if "second" in results.keys():  # noqa: SIM118
            return {}
        return {"second": self.kind(provider=self.provider, what="second")}

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("second", Make)


class MakeAllOrFail(MakeInPhases):
    """The rule of oVirt's placeholders: cut off half-way, it fails."""

    title = "Make {whats} in phases, or fail"
    on_restart = OnRestart.FAIL


class Unmake(MakeSo):
    """Takes back what has the token that follows the dash."""

    title = "Take {what} back"


class MakeUndone(Make):
    """Knows how to take back what it made."""

    title = "Make {what}, to be undone"

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return Unmake(provider=self.provider, what=f"-{tx.undone.token}")


class MakeAllOrNothing(MakeInPhases):
    """Two beside each other, then a third; of one that fails nothing stays."""

    title = "Make {whats} in phases, or nothing"
    kind = MakeUndone

    def next_phase(
        self, tx: Tx, results: Results
    ) -> Mapping[str, Command[Any] | Child]:
        if "bad" in results.keys():  # noqa: SIM118
            return {}
        return {"bad": self.kind(provider=self.provider, what="bad")}


class Peek(Action[str]):
    """Reads, and writes a row of ours."""

    title = "Look at {provider}"
    provider: ProviderRef

    def run(self, ctx: Ctx) -> str:
        world = ctx.connect(World)
        return f"{len(world.jobs)} jobs"

    def finish(self, tx: Tx, result: str) -> None:
        tx.log(result)


ALL = (
    MakeNamed,
    MakeSo,
    MakeListed,
    MakeOrFail,
    MakeAgain,
    MakeSlowly,
    MakeInTurn,
    MakeMany,
    MakeInPhases,
    MakeAllOrFail,
    MakeAllOrNothing,
    MakeUndone,
    Peek,
    Unmake,
)
