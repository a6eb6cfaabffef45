"""VMs, templates, tenants, providers, workers and zones over REST."""

from collections import Counter
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from earmark.commands import onboarding
from earmark.commands.power_plans import power
from earmark.engine.tx import EngineTx
from earmark.store import inventory, workers
from earmark.web.api.asking import IdempotencyKey, Prefer, enqueue
from earmark.web.api.documents import (
    DiskOut,
    OneTaskOut,
    ProviderOut,
    TemplateOut,
    TenantOut,
    VerifyIn,
    VmOut,
    WorkerOut,
    ZoneOut,
)
from earmark.web.reading import machines
from earmark.web.reading.tenants import tenant_views
from earmark.web.reading.workers import RECENT
from earmark.web.site import site_of
from earmark.web.views import VmView

router = APIRouter(tags=["inventory"])


@router.get("/vms")
def list_vms(
    request: Request,
    response: Response,
    q: Annotated[str, Query(description="Words of the name")] = "",
    cursor: Annotated[str, Query(description="Of the `Link` before")] = "",
) -> list[VmOut]:
    """VMs by name, a hundred at a time; `Link: rel=next` leads to the others."""

    def work(tx: Any) -> list[VmOut]:
        listed = machines.list_vms(tx, q, cursor)
        shown = listed[: machines.PAGE]
        if len(listed) > machines.PAGE:
            query = {"q": q} if q else {}
            query["cursor"] = machines.place_of(shown[-1])
            address = f"{request.url.path}?{urlencode(query)}"
            response.headers["Link"] = f'<{address}>; rel="next"'
        return [_vm(view) for view in machines.vm_views(tx, shown)]

    return site_of(request).read(work)


@router.get("/vms/{vm}")
def get_vm(request: Request, vm: str) -> VmOut:
    """One VM, by id or name."""
    return site_of(request).read(lambda tx: _vm(machines.vm_view(tx, vm)))


@router.post("/vms/{vm}/actions/{verb}", response_model=OneTaskOut, status_code=202)
async def act_on_vm(
    request: Request,
    vm: str,
    verb: str,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a power action: `start`, `stop`, `shutdown` or `restart`."""
    command = power(verb, [vm])
    return await enqueue(site_of(request), lambda tx: command, idempotency_key, prefer)


@router.get("/templates")
def list_templates(request: Request) -> list[TemplateOut]:
    """Every VM template."""
    return [
        TemplateOut(
            id=it.id,
            name=it.name,
            provider=it.provider.name,
            vm=it.vm.id if it.vm else None,
            disks=it.disks,
            created_at=it.created_at,
        )
        for it in site_of(request).read(machines.template_views)
    ]


@router.get("/tenants")
def list_tenants(request: Request) -> list[TenantOut]:
    """Every tenant; `POST /commands/CreateTenant` creates one."""
    return [
        TenantOut(
            id=it.id,
            name=it.name,
            description=it.description,
            provider=it.provider.name,
            created_at=it.created_at,
            task=it.task.id if it.task else None,
        )
        for it in site_of(request).read(tenant_views)
    ]


@router.get("/providers")
def list_providers(request: Request) -> list[ProviderOut]:
    """Every provider."""
    found = site_of(request).read(inventory.list_providers)
    return [ProviderOut.model_validate(provider) for provider in found]


@router.post("/providers/verify", response_model=OneTaskOut, status_code=202)
async def verify_provider(
    request: Request,
    body: VerifyIn,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Try an endpoint's settings and secrets from a zone; nothing is saved."""

    def make(tx: EngineTx) -> Any:
        return onboarding.checked_request(
            tx,
            name=body.name,
            kind=body.kind,
            zone=body.zone,
            settings=body.settings,
            secret_values=body.secrets,
        )

    return await enqueue(site_of(request), make, idempotency_key, prefer)


@router.get("/workers")
def list_workers(request: Request) -> list[WorkerOut]:
    """The workers alive, and those that ended a short while ago."""
    found = site_of(request).read(lambda tx: workers.listed(tx, RECENT))
    return [WorkerOut.model_validate(worker) for worker in found]


@router.get("/zones")
def list_zones(request: Request) -> list[ZoneOut]:
    """Every zone."""

    def work(tx: Any) -> list[ZoneOut]:
        live = Counter(it.zone for it in workers.alive(tx) if it.state == "live")
        return [
            ZoneOut(
                id=zone.id,
                name=zone.name,
                description=zone.description,
                workers=live[zone.name],
            )
            for zone in inventory.list_zones(tx)
        ]

    return site_of(request).read(work)


def _vm(view: VmView) -> VmOut:
    return VmOut.model_validate(
        {
            "id": view.id,
            "name": view.name,
            "provider": view.provider.name,
            "zone": view.zone,
            "power_state": view.power_state,
            "disks": [DiskOut.model_validate(disk) for disk in view.disks],
            "observed_at": view.observed_at,
            "busy_task": view.busy_task.id if view.busy_task else None,
        }
    )
