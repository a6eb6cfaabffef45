"""The provider of the oracle: what a request does there, what is told about it. One is
behind the engine, and the model has one of its own; they are told the same."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    EarmarkError,
    JobUnknown,
    NotSent,
    Refused,
    Throttled,
)
from earmark.domain.outcome import Done, Failed, Found, Progress, Running
from earmark.engine.ctx import EngineCtx
from earmark.engine.tx import EngineTx

C = TypeVar("C")

#: What comes of one send, or of an action. "lost…": the answer is; the request has
#: landed, never will, or is still on its way.
SCRIPTS = (
    "accepts",
    "refuses",
    "refuses for now",
    "throttled",
    "not sent",
    "lost, landed",
    "lost, gone",
    "lost, on its way",
    "unprepared",
)
#: The provider does its part, if later.
LANDS = ("accepts", "lost, landed")
#: How a job may end, or be lost from sight: only its polling, or all of it.
ENDS = ("done", "failed", "flaky", "forgotten", "vanished")
#: Both can be told apart from what any provider would say.
AGAIN = "flaky"


class Site:
    """Jobs by handle. A handle is made of the token that was sent."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.made: dict[str, list[str]] = defaultdict(list)
        #: Requests that have left, and not landed: class by token.
        self.on_way: dict[str, EffectClass] = {}
        self.down = False

    def land(self, token: str, effect: EffectClass) -> str:
        """A request arrives. Where nothing keeps it from that, it makes another one."""
        mine = self.made[token]
        once = effect in (EffectClass.TOKEN, EffectClass.ABSOLUTE)
        if once and mine:
            return mine[0]
        mine.append(f"{token}/{len(mine)}")
        self.jobs[mine[-1]] = "running"
        return mine[-1]

    def arrive(self, token: str) -> None:
        """What was on its way lands now."""
        self.land(token, self.on_way.pop(token))

    def status(self, handle: str) -> str:
        """How a job stands; "vanished" for what never was."""
        return self.jobs.get(handle, "vanished")

    def stop(self, handle: str) -> None:
        """Asked to stop, a job that runs fails."""
        if self.jobs.get(handle) == "running":
            self.jobs[handle] = "failed"

    def shown(self, token: str, effect: EffectClass) -> list[str]:
        """The handles that a look for a token shows."""
        if effect is EffectClass.NONE:
            return []
        return [it for it in self.made[token] if self.jobs[it] != "vanished"]


def told(status: str) -> Progress | None:
    """What a poll says of a job; None when the provider does not know it."""
    if status == "running":
        return Running()
    if status == "done":
        return Done("made")
    if status in ("failed", AGAIN):
        return Failed("It broke.", code=AGAIN if status == AGAIN else "broken")
    return None


class World:
    """The site, as the engine's commands reach it."""

    def __init__(self) -> None:
        self.site = Site()
        #: By task and attempt: what comes of its send.
        self.scripts: dict[tuple[str, int], str] = {}
        #: Called on the way, in the thread that is on it.
        self.meet: Any = lambda name: None

    def prepare(self, ctx: Ctx) -> None:
        assert isinstance(ctx, EngineCtx)
        if self._script(ctx) == "unprepared":
            raise EarmarkError("It could not be prepared.", code="unprepared")

    def send(self, ctx: Ctx) -> str:
        """Carry out what the script of this attempt says."""
        assert isinstance(ctx, EngineCtx)
        effect, script = EffectClass(ctx.placeholder.effect), self._script(ctx)
        self.meet("asked")
        _say_no(script)
        if script == "lost, on its way":
            self.site.on_way[ctx.token] = effect
        if script not in LANDS:
            raise OSError("the line broke")
        handle = self.site.land(ctx.token, effect)
        self.meet("landed")
        if script == "lost, landed":
            raise OSError("the line broke")
        return handle

    def act(self, ctx: Ctx) -> str:
        """The same for what promises no effect."""
        assert isinstance(ctx, EngineCtx)
        script = self._script(ctx)
        self.meet("asked")
        _say_no(script)
        if script not in LANDS:
            raise EarmarkError("It broke.", code="broken")
        return "seen"

    def undo(self, tx: Tx) -> None:
        """The author's code, which may raise."""
        assert isinstance(tx, EngineTx)
        assert tx.task is not None
        if self.scripts[tx.task.id, tx.task.attempt] == "unprepared":
            raise EarmarkError("It could not be prepared.", code="unprepared")

    def poll(self, job: str) -> Progress:
        self._answer()
        said = told(self.site.status(job))
        if said is None:
            raise JobUnknown("No such job.")
        return said

    def find(self, ctx: Ctx) -> list[Found]:
        """What carries the token. A state is only seen; of the others, its end too."""
        self._answer()
        assert isinstance(ctx, EngineCtx)
        effect = EffectClass(ctx.placeholder.effect)
        found = []
        for job in self.site.shown(ctx.token, effect):
            said = told(self.site.jobs[job])
            ended = said if isinstance(said, Done | Failed) else None
            if effect is EffectClass.ABSOLUTE:
                found.append(Found(job))
            else:
                found.append(Found(job, mark=ctx.token, done=ended))
        return found

    def stop(self, job: str) -> None:
        self._answer()
        self.site.stop(job)

    def _script(self, ctx: EngineCtx) -> str:
        return self.scripts[ctx.task.id, ctx.task.attempt]

    def _answer(self) -> None:
        if self.site.down:
            raise OSError("nobody answers")


def _say_no(script: str) -> None:
    if script == "refuses":
        raise Refused("There is no room.")
    if script == "refuses for now":
        raise Refused("There is no room now.", code=AGAIN)
    if script == "throttled":
        raise Throttled("Come back later.")
    if script == "not sent":
        raise NotSent("No route.")


class NoSettings(BaseModel):
    """Nothing to set."""


def _operation(effect: EffectClass) -> Operation:
    """Short horizons, so that a few steps of the clock pass them all."""
    return Operation(
        effect.value,
        effect,
        source="this test",
        token_life=timedelta(seconds=1500) if effect is EffectClass.TOKEN else None,
        visibility_lag=timedelta(seconds=5 if effect is EffectClass.TAG else 0),
        max_in_flight=timedelta(seconds=20),
        send_seconds=5,
        poll_seconds=1,
        hold_after=timedelta(seconds=1000),
    )


OPERATIONS = {effect.value: _operation(effect) for effect in EffectClass}


class OracleConnector:
    """A kind of provider with one operation of each class."""

    kind = "oracle"
    title = "Oracle"
    settings: type[BaseModel] = NoSettings
    secrets: Mapping[str, str] = MappingProxyType({})
    operations: Mapping[str, Operation] = MappingProxyType(OPERATIONS)

    def __init__(self) -> None:
        self.world = World()

    def open(self, config: ProviderConfig) -> "OracleConnector":
        return self

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        assert capability is World
        return self.world  # type: ignore[return-value]

    def close(self) -> None:
        pass


def world_of(tx: Tx) -> World:
    """The one behind the engine of a transaction."""
    assert isinstance(tx, EngineTx)
    connector = tx.engine.connectors["oracle"]
    assert isinstance(connector, OracleConnector)
    return connector.world
