"""Orphans as views."""

from collections.abc import Mapping, Sequence

from earmark.domain.inventory import Provider
from earmark.domain.orphan import Orphan, Sweep, SweepState
from earmark.engine.sweep import summary
from earmark.store import inventory, orphans
from earmark.store.database import Transaction
from earmark.web.orphans import (
    DecidedOrphansPage,
    Ledger,
    MissingView,
    OrphanView,
    SweepView,
)
from earmark.web.reading.tasks import refs
from earmark.web.views import ProviderRef, Ref

#: How many decided orphans a page shows.
DECIDED = 100


def ledger(tx: Transaction) -> Ledger:
    """Show what nothing explains, what is missing, and every provider's sweep."""
    providers = {it.id: it for it in inventory.list_providers(tx)}
    found = orphans.listed(tx)
    sweeps = orphans.newest_sweeps(tx, providers)
    missing = [
        MissingView(
            it.kind,
            it.external_id,
            _ref(providers[sweep.provider_id]),
            Ref("task", it.task_id, it.title, f"/tasks/{it.task_id}"),
            it.since,
        )
        for sweep in sweeps.values()
        for it in sweep.missing
    ]
    return Ledger(
        orphans=tuple(orphan_views(tx, found, providers)),
        missing=tuple(missing),
        missing_count=sum(it.missing_count for it in sweeps.values()),
        sweeps=tuple(_sweep(providers[it], sweeps[it], found) for it in providers),
    )


def decided_page(tx: Transaction) -> DecidedOrphansPage:
    """Show the newest that nobody needs to decide about any more."""
    providers = {it.id: it for it in inventory.list_providers(tx)}
    found = orphans.over(tx, DECIDED + 1)
    shown = orphan_views(tx, found[:DECIDED], providers)
    return DecidedOrphansPage(tuple(shown), more=len(found) > DECIDED)


def orphan_views(
    tx: Transaction, shown: Sequence[Orphan], providers: Mapping[str, Provider]
) -> list[OrphanView]:
    """Show these orphans."""
    makers = refs(tx, {it.task_id for it in shown if it.task_id})
    return [
        OrphanView(
            id=it.id,
            name=it.name,
            kind=it.kind,
            external_id=it.external_id,
            provider=_ref(providers[it.provider_id]),
            born_at=it.created_at or it.first_seen_at,
            story=it.story,
            task=makers.get(it.task_id or ""),
            state=it.state,
            decided_by=it.decided_by,
            why=it.why,
            decided_at=it.decided_at,
        )
        for it in shown
    ]


def count(tx: Transaction) -> int:
    """How many wait for a person."""
    return orphans.count_open(tx)


def _ref(provider: Provider) -> ProviderRef:
    return ProviderRef(provider.id, provider.name, provider.kind)


def _sweep(provider: Provider, sweep: Sweep, found: Sequence[Orphan]) -> SweepView:
    text = sweep.message
    if sweep.state is SweepState.NEVER:
        text = "Not swept yet."
    elif sweep.state is SweepState.OK:
        text = summary(
            sweep, sum(it.provider_id == provider.id for it in found), later=True
        )
    return SweepView(
        _ref(provider), sweep.state, sweep.began_at, text, sweep.others, sweep.young
    )
