"""Orphans as a page: what nothing explains, what is missing, and when each provider was
last looked through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from earmark.domain.orphan import OrphanState, SweepState
from earmark.web.pages import Page
from earmark.web.views import FormField, ProviderRef, Ref


@dataclass(frozen=True)
class OrphanView:
    """Something with our mark that nothing explains; `born_at` is when it was made, by
    the provider's clock, or else when it was first seen."""

    id: str
    name: str
    kind: str
    external_id: str
    provider: ProviderRef
    born_at: datetime
    story: str
    task: Ref | None
    state: OrphanState = OrphanState.OPEN
    decided_by: str | None = None
    why: str | None = None
    decided_at: datetime | None = None

    @property
    def called(self) -> str:
        """Its kind, with its name or else the provider's id of it."""
        return f"{self.kind} {self.name or self.external_id}"

    @property
    def href(self) -> str:
        """What can be asked of it is below this address."""
        return f"/orphans/{self.id}"


@dataclass(frozen=True)
class MissingView:
    """Something that a task of ours made, and its provider does not show."""

    kind: str
    external_id: str
    provider: ProviderRef
    task: Ref
    since: datetime


@dataclass(frozen=True)
class SweepView:
    """When a provider was swept last, and what that said."""

    provider: ProviderRef
    state: SweepState
    at: datetime | None
    text: str
    others: int
    young: int = 0

    @property
    def never_looked(self) -> bool:
        """Whether something may be there that no sweep has looked at yet."""
        return self.at is None and self.state is not SweepState.UNSUPPORTED


@dataclass(frozen=True)
class Ledger:
    """All that a page of orphans shows."""

    orphans: tuple[OrphanView, ...]
    missing: tuple[MissingView, ...]
    missing_count: int
    sweeps: tuple[SweepView, ...]

    @property
    def others(self) -> int:
        """How much carries another installation's mark."""
        return sum(sweep.others for sweep in self.sweeps)

    @property
    def looked(self) -> bool:
        """Whether any sweep has ever come to its end."""
        return any(sweep.at for sweep in self.sweeps)

    @property
    def unknown(self) -> str:
        """The names of the providers that no sweep has looked at yet, in words."""
        names = [it.provider.name for it in self.sweeps if it.never_looked]
        *most, last = names or [""]
        return f"{', '.join(most)} and {last}" if most else last

    @property
    def young(self) -> int:
        """How much with our mark is too new to be judged."""
        return sum(sweep.young for sweep in self.sweeps)


@dataclass(frozen=True)
class OrphansPage(Page):
    """What nothing explains, at every provider."""

    template = "orphans.html"
    section = "orphans"
    heading = "Orphans"
    topics = ("orphans",)
    ledger: Ledger
    idempotency_key: str


@dataclass(frozen=True)
class DecidedOrphansPage(Page):
    """What was decided about orphans, by whom and why; and which went by themselves."""

    template = "orphans_decided.html"
    section = "orphans"
    heading = "Decided orphans"
    live = False
    orphans: tuple[OrphanView, ...]
    more: bool = False
    """Whether there are older ones, which the page does not show."""


@dataclass(frozen=True)
class DestroyPage(Page):
    """The question whether an orphan is to be destroyed."""

    template = "orphan_destroy.html"
    section = "orphans"
    orphan: OrphanView
    idempotency_key: str

    @property
    def heading(self) -> str:
        """What is asked."""
        return f"Destroy {self.orphan.called} at {self.orphan.provider.name}?"


@dataclass(frozen=True)
class AdoptPage(Page):
    """The form that adopts an orphan: who wants it, and why."""

    template = "orphan_adopt.html"
    section = "orphans"
    orphan: OrphanView
    field: FormField
    idempotency_key: str

    @property
    def heading(self) -> str:
        """What is asked."""
        return f"Adopt {self.orphan.called} at {self.orphan.provider.name}?"
