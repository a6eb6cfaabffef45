"""World: what an author supplies, a fake of their provider with a memory of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from earmark.domain.connector import Connector


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that the fake has made.

    `token`: the token that it was asked for with, or the mark; empty when none came.
    `id`: the fake's own name for it. `there`: False once it is gone again.
    """

    token: str
    id: str
    there: bool


class World(Protocol):
    """A fake of a provider, inside the process, that does what the real one promises.

    It outlives the engine's deaths: only `reset` empties it. It answers at once, its
    jobs end with being asked about rather than with time passing, and it need not
    misbehave: that is done to it.

    Optional members: `settings` and `secrets`, mappings for the connector's session;
    `stranger(like: Effect) -> None`, which makes one that looks the same as `like`,
    which is there, for somebody else: the same name and description, another token.
    One that `effects` tells too is watched: whatever takes ours back must leave it;
    `timeout() -> Exception`, what the real client raises when no reply comes, if that
    is no `TimeoutError`.
    """

    @property
    def connector(self) -> Connector:
        """Opens sessions on this fake. An open one stays good over a `reset`."""
        ...

    def reset(self) -> None:
        """A new site: empty, or with nothing but its standing furniture."""
        ...

    def effects(self) -> Sequence[Effect]:
        """Every creation since the last `reset`, the oldest first; what was deleted
        since is among them. Furniture is not."""
        ...
