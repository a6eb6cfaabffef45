"""Orphans: what is at a provider, carries our mark, and is explained by nothing that
we know; and what a sweep of a provider has found."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OrphanState(StrEnum):
    """What has become of an orphan."""

    OPEN = "open"
    ADOPTED = "adopted"
    DESTROYED = "destroyed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something at a provider that no row of ours explains.

    `created_at` is the provider's clock; the other times are ours. `story` is what is
    likely to have happened. `task_id` is the task whose request made it, where that is
    known. `decided_by` and `why`: who wanted it, or had it destroyed.
    """

    id: str
    provider_id: str
    kind: str
    external_id: str
    name: str
    token: str
    state: OrphanState
    story: str
    task_id: str | None
    created_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    decided_by: str | None
    why: str | None
    decided_at: datetime | None

    @property
    def open(self) -> bool:
        """True while nobody has decided about it, and it is still there."""
        return self.state is OrphanState.OPEN


class SweepState(StrEnum):
    """How the newest sweep of a provider went."""

    NEVER = "never"
    OK = "ok"
    ERROR = "error"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a command of ours made, and the provider does not show."""

    kind: str
    external_id: str
    token: str
    task_id: str
    title: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Sweep:
    """The newest sweep of a provider.

    `began_at` is when the listing behind it began, and None before the first. `others`:
    how much carries another installation's mark. `young`: how much is too new to be
    judged, or belongs to tasks that have not ended. `pruned`: how much is older than
    our history. `missing` holds the first of `missing_count`.
    """

    provider_id: str
    state: SweepState
    message: str
    began_at: datetime | None
    seen: int
    others: int
    young: int
    pruned: int
    missing_count: int
    missing: tuple[Missing, ...]
