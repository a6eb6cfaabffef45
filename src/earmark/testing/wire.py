"""The wire between commands and worlds: every call of an author's client goes over it.
What is called inside `send` is a changing call, and can be dropped, lost, late,
repeated or refused; all else is a read, and can be cut."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

from earmark.domain.connector import Connector, Operation, ProviderConfig, Session
from earmark.domain.deadline import Deadline
from earmark.domain.errors import ProviderError, Refused
from earmark.domain.task import Task
from earmark.engine.boundary import Killed
from earmark.testing.drive import Outside
from earmark.testing.schedule import Fault, Schedule
from earmark.testing.world import Effect, World

C = TypeVar("C")
#: Nothing that is on its way counts as landed before a schedule lets time pass.
IN_FLIGHT = timedelta(hours=1)
#: How long doubt may last: several such times.
_DOUBT = timedelta(days=1)
_REFUSED = "refused-by-verify"


class TimedOut(ProviderError, TimeoutError, ConnectionResetError):
    """No reply came. Nobody knows whether the request arrived."""


@dataclass
class Sending:
    """One run of `send`: of which command, for which effect, and whether one of its
    calls got no reply."""

    command: str
    token: str
    effect: str
    unanswered: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """One effect of this run, and the promise in whose send it was made: its token,
    empty when it was made outside of any send."""

    world: str
    effect: Effect
    by: str


@dataclass
class Seen:
    """What went over the wire in one schedule."""

    changes: list[tuple[str, Sending]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    #: The reads that got no reply.
    cuts: list[str] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    #: How many changing calls of each token arrived, and were taken.
    arrived: Counter[str] = field(default_factory=Counter)


class Wire(Outside):
    """All worlds of a house, by the names of their providers."""

    def __init__(self) -> None:
        self.worlds: dict[str, World] = {}
        self.meet: Callable[[str], None] = lambda name: None
        self.seen = Seen()
        self._here = threading.local()
        self.begin(Schedule())

    def begin(self, schedule: Schedule) -> None:
        """A new run, with these faults; what is there already is none of its doing."""
        self.seen = Seen()
        self._faults = set(schedule.faults)
        self._by: dict[tuple[str, int], str] = {}
        self._late: dict[str, Callable[[], Any]] = {}
        self._on_way: dict[str, Callable[[], Any]] = {}
        self._before = {name: len(one.effects()) for name, one in self.worlds.items()}

    def add(self, name: str, world: World, *, hurried: bool) -> "WiredConnector":
        """Take in a world; returns its connector, over this wire. `hurried`: time
        passes when a schedule says so, whatever its operations declare."""
        self.worlds[name] = world
        self.ids = tuple(self.worlds)
        self._before[name] = len(world.effects())
        connector = WiredConnector(world.connector, self, name)
        if hurried:
            connector.hurry()
        return connector

    def fresh(self) -> None:
        """Every world is new."""
        for world in self.worlds.values():
            world.reset()

    def lost(self, token: str, task: Task) -> bool:
        """What had left when its sender was killed becomes late."""
        call = self._on_way.pop(token, None)
        if call is not None:
            self._late[token] = call
        return call is not None

    def arrive(self) -> None:
        """All that is late arrives."""
        self.land(list(self._late))

    def land(self, tokens: Iterable[str]) -> None:
        """What was late of these arrives now."""
        for token in tokens:
            call = self._late.pop(token, None)
            if call is not None:
                with suppress(Exception):  # it may be refused by now; nobody hears
                    call()

    def made(self) -> list[Made]:
        """Every effect of this run."""
        found = []
        for name, world in self.worlds.items():
            for number, effect in enumerate(world.effects()):
                if number >= self._before[name]:
                    by = self._by.get((name, number), "")
                    found.append(Made(name, effect, by))
        return found

    def theirs(self) -> Iterator[tuple[str, str]]:
        """What was there before this run and still is: the world's name, and the id."""
        for name, world in self.worlds.items():
            for effect in world.effects()[: self._before[name]]:
                if effect.there:
                    yield name, effect.id

    def sending(self) -> Sending | None:
        """The send that this thread is in."""
        return getattr(self._here, "sending", None)

    def send(self, sending: Sending, proceed: Callable[[], Any]) -> Any:
        """Run an author's `send`: what is called inside is a changing call."""
        self._here.sending = sending
        try:
            return proceed()
        finally:
            self._here.sending = None

    def befalls(self, fault: Fault, number: int) -> bool:
        """True when this is to go wrong, for which there is one chance."""
        return (fault, number) in self._faults

    def call(self, name: str, label: str, proceed: Callable[[], Any]) -> Any:
        """A client's call, whatever becomes of it."""
        if len(self.worlds) > 1:
            label = f"{name}: {label}"
        sending = self.sending()
        if sending is not None:
            return self._change(name, label, proceed, sending)
        self.seen.reads.append(label)
        if self.befalls(Fault.CUT, len(self.seen.reads)):
            self.seen.cuts.append(label)
            raise self._timeout(name)
        return proceed()

    def _change(
        self, name: str, label: str, proceed: Callable[[], Any], sending: Sending
    ) -> Any:
        self.seen.changes.append((label, sending))
        number = len(self.seen.changes)

        def arrives() -> Any:
            return self._arrives(name, proceed, sending.token)

        try:
            self.meet(f"{sending.command}.send: {label} leaves")
        except Killed:
            self._on_way[sending.token] = arrives
            raise
        if self.befalls(Fault.REFUSE, number):
            raise Refused("verify lets the provider refuse this.", code=_REFUSED)
        if self.befalls(Fault.REPEAT, number):
            reply = arrives()
            with suppress(Exception):  # whoever repeats it does not pass that on
                arrives()
            return reply
        silent = {Fault.LOSE, Fault.LATE, Fault.DROP}
        befalls = {fault for fault in silent if self.befalls(fault, number)}
        if not befalls:
            return arrives()
        if Fault.LOSE in befalls:
            arrives()
        if Fault.LATE in befalls:
            self._late[sending.token] = arrives
        sending.unanswered = label
        raise self._timeout(name)

    def _arrives(self, name: str, proceed: Callable[[], Any], token: str) -> Any:
        world = self.worlds[name]
        before = len(world.effects())
        try:
            reply = proceed()
        finally:
            after = len(world.effects())
            self._by |= {(name, number): token for number in range(before, after)}
        self.seen.arrived[token] += 1
        return reply

    def _timeout(self, name: str) -> Exception:
        own = getattr(self.worlds[name], "timeout", None)
        error = own() if own is not None else TimedOut("verify let no reply come.")
        return cast(Exception, error)


class WiredConnector:
    """A world's connector whose clients speak over the wire."""

    def __init__(self, connector: Connector, wire: Wire, name: str) -> None:
        self._connector = connector
        self._wire = wire
        self._name = name
        self.kind = connector.kind
        self.title = connector.title
        self.settings = connector.settings
        self.secrets = connector.secrets
        self.operations: Mapping[str, Operation] = connector.operations

    def hurry(self) -> None:
        """What is on its way counts as landed once a schedule has let time pass, and
        not before."""
        self.operations = {
            name: replace(
                operation,
                max_in_flight=IN_FLIGHT,
                visibility_lag=min(operation.visibility_lag, IN_FLIGHT),
                hold_after=max(operation.hold_after, _DOUBT),
            )
            for name, operation in self.operations.items()
        }

    def open(self, config: ProviderConfig) -> Session:
        """A session over the wire."""
        return WiredSession(self._connector.open(config), self._wire, self._name)


class WiredSession:
    """A session whose clients speak over the wire."""

    def __init__(self, session: Session, wire: Wire, name: str) -> None:
        self._session = session
        self._wire = wire
        self._name = name

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """The client, as its own kind."""
        client = self._session.capability(capability, deadline)
        return cast(C, WiredClient(client, self._wire, self._name))

    def close(self) -> None:
        """Close what is behind."""
        self._session.close()


class WiredClient:
    """Passes for the client that it stands before; its calls go over the wire."""

    def __init__(self, client: object, wire: Wire, name: str) -> None:
        self.__dict__.update(_client=client, _wire=wire, _name=name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__dict__["_client"])

    def __getattr__(self, name: str) -> Any:
        client = self.__dict__["_client"]
        found = getattr(client, name)
        if not callable(found) or name.startswith("_"):
            return found
        label = f"{type(client).__name__}.{name}"

        def call(*given: Any, **options: Any) -> Any:
            proceed = lambda: found(*given, **options)  # noqa: E731
            return self.__dict__["_wire"].call(self.__dict__["_name"], label, proceed)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_client"], name, value)
