"""Orphans over REST: what nothing explains, and what is decided about it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from earmark.commands import AdoptOrphan, DestroyOrphan, SweepProvider
from earmark.domain.orphan import Missing, Orphan, OrphanState, Sweep, SweepState
from earmark.engine import describe
from earmark.store import inventory, orphans
from earmark.store.database import Transaction
from earmark.web.api.asking import IdempotencyKey, Prefer, enqueue
from earmark.web.api.documents import Document, OneTaskOut
from earmark.web.site import site_of

router = APIRouter(tags=["orphans"])


class OrphanOut(BaseModel):
    """Something at a provider with our mark that no task of ours explains."""

    id: str
    provider: str
    kind: str
    external_id: str
    name: str
    token: str
    state: OrphanState
    story: str = Field(description="What is likely to have happened")
    task: str | None = Field(description="The task whose request made it, if known")
    created_at: datetime | None = Field(description="By the provider's clock")
    first_seen_at: datetime
    last_seen_at: datetime
    decided_by: str | None
    why: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, it: Orphan, provider: str) -> "OrphanOut":
        """Name the provider, and not only its id."""
        facts = {name: getattr(it, name) for name in Orphan.__slots__}
        return cls(provider=provider, task=facts.pop("task_id"), **facts)


class MissingOut(Document):
    """Something that a task of ours made, and its provider does not show."""

    kind: str
    external_id: str
    token: str
    task_id: str
    title: str
    since: datetime


class SweepOut(BaseModel):
    """The newest sweep of a provider."""

    provider: str
    state: SweepState
    message: str
    began_at: datetime | None
    seen: int = Field(description="How much carries our mark")
    others: int = Field(description="How much carries another installation's mark")
    young: int = Field(description="How much is too new to be judged")
    pruned: int = Field(description="How much is older than our history")
    missing_count: int
    missing: list[MissingOut] = Field(description="The first of them")

    @classmethod
    def of(cls, it: Sweep, provider: str) -> "SweepOut":
        """Name the provider."""
        names = [name for name in Sweep.__slots__ if name != "provider_id"]
        facts = {name: getattr(it, name) for name in names}
        facts["missing"] = [_missing(one) for one in it.missing]
        return cls(provider=provider, **facts)


def _missing(it: Missing) -> MissingOut:
    return MissingOut.model_validate(it)


class AdoptIn(BaseModel):
    """Why an orphan is wanted."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(min_length=1, max_length=1000)


@router.get("/orphans")
def list_orphans(
    request: Request,
    provider: Annotated[str, Query(description="A name or an id")] = "",
    all: Annotated[bool, Query(description="Those that are over too")] = False,
) -> list[OrphanOut]:
    """What nothing explains, the newest first."""

    def work(tx: Transaction) -> list[OrphanOut]:
        one = inventory.provider(tx, provider).id if provider else None
        names = {it.id: it.name for it in inventory.list_providers(tx)}
        found = orphans.listed(tx, one, every=all)
        return [OrphanOut.of(it, names[it.provider_id]) for it in found]

    return site_of(request).read(work)


@router.get("/orphans/{orphan}")
def get_orphan(request: Request, orphan: str) -> OrphanOut:
    """One orphan."""

    def work(tx: Transaction) -> OrphanOut:
        found = orphans.find(tx, orphan)
        return OrphanOut.of(found, inventory.provider(tx, found.provider_id).name)

    return site_of(request).read(work)


@router.post("/orphans/{orphan}/adopt", response_model=OneTaskOut, status_code=202)
async def adopt_orphan(
    request: Request,
    orphan: str,
    body: AdoptIn,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Say that it is wanted, and why; 409 when somebody has decided already."""
    command = describe.build(AdoptOrphan, {"orphan": orphan, "why": body.why})
    return await enqueue(site_of(request), lambda tx: command, idempotency_key, prefer)


@router.post("/orphans/{orphan}/destroy", response_model=OneTaskOut, status_code=202)
async def destroy_orphan(
    request: Request,
    orphan: str,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Destroy it at its provider, once that has shown again that it is ours."""
    command = DestroyOrphan(orphan=orphan)
    return await enqueue(site_of(request), lambda tx: command, idempotency_key, prefer)


@router.get("/sweeps")
def list_sweeps(request: Request) -> list[SweepOut]:
    """The newest sweep of every provider, with what is missing there."""

    def work(tx: Transaction) -> list[SweepOut]:
        known = inventory.list_providers(tx)
        newest = orphans.newest_sweeps(tx, [it.id for it in known])
        return [SweepOut.of(newest[it.id], it.name) for it in known]

    return site_of(request).read(work)


@router.post("/providers/{provider}/sweep", response_model=OneTaskOut, status_code=202)
async def sweep_provider(
    request: Request,
    provider: str,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Sweep a provider for orphans now."""
    command = SweepProvider(provider=provider)
    return await enqueue(site_of(request), lambda tx: command, idempotency_key, prefer)
