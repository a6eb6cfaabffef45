"""What the engine must know of a provider's kind, and how a connector is reached.

A connector declares, per changing operation, what its provider promises about requests
whose answer was lost. The engine derives from that what recovery may do; nothing here
knows any command.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import inf
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from earmark.domain.deadline import Deadline
from earmark.domain.errors import RegistrationRefused

C = TypeVar("C")

#: Kept clear of a token's end, for clocks and for the request's own way.
TOKEN_MARGIN = timedelta(minutes=1)
#: A call may take this long at most: a store that was put back counts on it for what
#: was sent by workers that nobody knows any more.
MOST_SEND_SECONDS = 600.0


class EffectClass(StrEnum):
    """What a provider offers to find out about, or repeat, a request in doubt."""

    #: A token that it has seen is answered with the first request's job: sent again.
    TOKEN = "token"  # noqa: S105 - a class of operations, not a credential
    #: We choose the name, and it can be there only once: sent again, or adopted when
    #: it shows our mark.
    IDENTITY = "identity"
    #: It keeps our token in the object, which can be searched for: looked for first.
    TAG = "tag"
    #: A state is asked for, not a change ("off", "gone"): the state is looked at.
    ABSOLUTE = "absolute"
    #: It only lists its jobs: what is new since the first send, and alone, is ours.
    TASKS = "tasks"
    #: Nothing can be found out: a lost answer is a person's.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Operation:
    """One changing operation of a provider's kind, as its documents promise it.

    `token_life`: how long the provider recognises a token, counted from the first
    send; None for ever. `visibility_lag`: how long something created may be missing
    from the provider's lists. `max_in_flight`: how long a request that left may still
    land after its sender is gone. `send_seconds`: the deadline of the call.
    `poll_seconds`: how often to ask about a job. `hold_after`: how long doubt may last
    before a person is asked. `source`: where the promise is written.
    """

    name: str
    effect: EffectClass
    source: str
    token_life: timedelta | None = None
    visibility_lag: timedelta = timedelta(0)
    max_in_flight: timedelta = timedelta(minutes=5)
    send_seconds: float = 30.0
    poll_seconds: float = 2.0
    hold_after: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.effect, EffectClass):
            raise RegistrationRefused(
                f"Operation {self.name!r}: it needs a name and a class, not "
                f"{self.effect!r}."
            )
        if not self.source:
            raise RegistrationRefused(
                f"Operation {self.name}: say where its class is promised (source=…)."
            )
        for problem in self._unsafe():
            raise RegistrationRefused(f"Operation {self.name}: {problem}")

    def _unsafe(self) -> Iterator[str]:
        """What no recovery could be safe with."""
        if not all(0 < s < inf for s in (self.send_seconds, self.poll_seconds)):
            yield "send_seconds and poll_seconds are above 0, and not infinite."
            return
        if self.send_seconds > MOST_SEND_SECONDS:
            yield f"send_seconds is at most {MOST_SEND_SECONDS:.0f}."
            return
        life = self.token_life
        if life is not None and self.effect is not EffectClass.TOKEN:
            yield "only class `token` has a token_life."
        if life is not None and life <= self.longest_way + TOKEN_MARGIN:
            yield (
                f"a token that lives {life} may be forgotten before one request, which "
                f"takes up to {self.longest_way}, has arrived; declare another class."
            )
        if min(self.visibility_lag, self.max_in_flight) < timedelta(0):
            yield "visibility_lag and max_in_flight are not negative."
        waits = (EffectClass.TAG, EffectClass.TASKS, EffectClass.ABSOLUTE)
        if self.effect in waits and not self.max_in_flight:
            yield (
                f"class `{self.effect}` is over, or sent again, only once nothing can "
                f"land any more: declare max_in_flight, how long a request may be on "
                f"its way."
            )
        if self.effect is EffectClass.TASKS and self.visibility_lag:
            yield (
                "class `tasks` needs a list without visibility_lag: what was there "
                "before the first send is told by it, and is not ours."
            )
        if self.hold_after <= self.visibility_lag:
            yield (
                "hold_after is above visibility_lag: else a person is asked before the "
                "provider could show what there is."
            )

    @property
    def longest_way(self) -> timedelta:
        """How long after its intent a request may land at the latest."""
        return timedelta(seconds=self.send_seconds) + self.max_in_flight

    @property
    def repeatable(self) -> bool:
        """True when the provider itself makes a second identical request harmless."""
        return self.effect in (EffectClass.TOKEN, EffectClass.IDENTITY)


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """Where a provider is and how to get in; secrets are in the clear, in memory.

    `installation` is ours: the first half of the mark that a connector writes into
    whatever it makes (see `Mark`); empty where nothing is ever made.
    """

    settings: BaseModel
    secrets: Mapping[str, str]
    installation: str = ""


class Session(Protocol):
    """A provider's clients, ready for calls from any thread."""

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """Return the typed client whose calls end by `deadline`.

        `capability` is the class that a command gave to `ctx.connect`. Raises
        `Unsupported` when this kind of provider cannot do it.
        """
        ...

    def close(self) -> None:
        """Let go of sockets; calls under way may fail."""
        ...


class Connector(Protocol):
    """A kind of provider: how to reach it and what it promises."""

    @property
    def kind(self) -> str:
        """The short name in `earmark providers add KIND`."""
        ...

    @property
    def title(self) -> str:
        """The name that people know."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """The settings' model: forms, flags and validation come from it."""
        ...

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name → label of every secret that the settings need."""
        ...

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Every changing operation by name, with its class."""
        ...

    def open(self, config: ProviderConfig) -> Session:
        """Return a session. No I/O: an endpoint that is down shows at the first call.

        Raises `BadInput` for settings that can never work.
        """
        ...


class Vault(Protocol):
    """Seals secrets so that rows, logs and pages never hold them."""

    def seal(self, clear: str, context: str) -> bytes:
        """Encrypt, bound to `context` (the secret's id): moved rows do not open."""
        ...

    def open(self, sealed: bytes, context: str) -> str:
        """Decrypt; raises `Unavailable` when the key is missing or another."""
        ...


def settings_of(connector: Connector, values: Mapping[str, Any]) -> BaseModel:
    """Validate settings for a kind; raises pydantic's `ValidationError`."""
    return connector.settings.model_validate(dict(values))
