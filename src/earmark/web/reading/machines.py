"""VMs and templates as views."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import UnknownName
from earmark.store import inventory, schema, workers
from earmark.store.database import Transaction
from earmark.store.words import words_of
from earmark.web.reading import tasks as reading_tasks
from earmark.web.views import (
    DiskView,
    LockView,
    ProviderRef,
    Ref,
    TemplateView,
    VmView,
)

PAGE = 100


def list_vms(tx: Transaction, q: str = "", after: str = "") -> list[sa.Row[Any]]:
    """Read a page of VMs by name, and one more if there is more. Each word of `q` is in
    the VM's name or in its provider's. Raises `BadInput` for too many words."""
    vms, providers = schema.vms, schema.providers
    query = inventory.select_vms().order_by(vms.c.name, vms.c.id).limit(PAGE + 1)
    for word in words_of(q):
        of_provider = sa.select(providers.c.id).where(
            providers.c.name.icontains(word, autoescape=True)
        )
        named = vms.c.name.icontains(word, autoescape=True)
        query = query.where(named | vms.c.provider_id.in_(of_provider))
    name, _, identity = after.rpartition("/")
    if name:
        place = sa.tuple_(vms.c.name, vms.c.id)
        query = query.where(place > sa.tuple_(sa.literal(name), sa.literal(identity)))
    return list(tx.execute(query).all())


def place_of(row: sa.Row[Any]) -> str:
    """Name a VM's place in the list, for the page that begins after it."""
    return f"{row.name}/{row.id}"


def vms_by_ids(tx: Transaction, ids: Iterable[str]) -> list[sa.Row[Any]]:
    """Read the VMs of these ids that exist as far as we know."""
    query = inventory.select_vms().where(schema.vms.c.id.in_(list(ids)))
    return list(tx.execute(query).all())


def vms_ever(tx: Transaction, ids: Iterable[str]) -> list[sa.Row[Any]]:
    """Read the VMs of these ids, also those that are gone."""
    vms = schema.vms
    return list(tx.execute(sa.select(vms).where(vms.c.id.in_(list(ids)))).all())


def vm_views(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[VmView]:
    """Show many VMs."""
    ids = [row.id for row in rows]
    providers = {provider.id: provider for provider in inventory.list_providers(tx)}
    disks = _disks(tx, ids)
    busy = reading_tasks.busy_on(tx, "vm", ids)
    worked = workers.served_zones(tx)
    found = []
    for row in rows:
        home = providers[row.provider_id]
        vm = VmView(
            id=row.id,
            name=row.name,
            provider=ProviderRef(home.id, home.name, home.kind),
            zone=home.zone,
            power_state=row.power_state,
            observed_at=row.observed_at,
            disks=disks.get(row.id, ()),
            busy_task=busy.get(row.id),
            zone_has_worker=home.zone in worked,
            gone_at=row.gone_at,
        )
        found.append(vm)
    return found


def vm_ever_view(tx: Transaction, ref: str) -> VmView:
    """Show one VM by id or name, also by its id when it is gone; raises
    `UnknownName`."""
    return vm_views(tx, vms_ever(tx, [inventory.resolve(tx, "vm", ref)]))[0]


def vm_view(tx: Transaction, ref: str) -> VmView:
    """Show one VM by id or name; raises `UnknownName`, for one that is gone too."""
    rows = vms_by_ids(tx, [inventory.resolve(tx, "vm", ref)])
    if not rows:
        raise UnknownName(
            "This VM is gone: its provider no longer lists it.",
            hint="Refresh the provider if you think that it is there.",
        )
    return vm_views(tx, rows)[0]


def locks_on_vms(
    tx: Transaction, ids: Iterable[str]
) -> dict[str, tuple[LockView, ...]]:
    """VM id → who holds it."""
    return _by_vm(tx, schema.locks, ids, schema.locks.c.since)


def waiting(tx: Transaction, ids: Iterable[str]) -> dict[str, tuple[LockView, ...]]:
    """VM id → who waits for it, the next one first."""
    return _by_vm(tx, schema.lock_queue, ids)


def _by_vm(
    tx: Transaction, table: sa.Table, ids: Iterable[str], *order: sa.Column[Any]
) -> dict[str, tuple[LockView, ...]]:
    tasks = schema.tasks
    query = (
        sa.select(table.c.mode, table.c.name, table.c.since, tasks.c.id, tasks.c.title)
        .join(tasks, tasks.c.id == table.c.root_id)
        .where(table.c.kind == "vm", table.c.name.in_(list(ids)))
        .order_by(*order, tasks.c.id)
    )
    found: dict[str, tuple[LockView, ...]] = {}
    for row in tx.execute(query):
        owner = Ref("task", row.id, row.title, f"/tasks/{row.id}")
        lock = LockView(row.mode, "vm", owner, row.since)
        found[row.name] = (*found.get(row.name, ()), lock)
    return found


def template_views(tx: Transaction) -> tuple[TemplateView, ...]:
    """Show every template."""
    templates = inventory.list_templates(tx)
    providers = {provider.id: provider for provider in inventory.list_providers(tx)}
    sources = {template.vm_id for template in templates if template.vm_id}
    vms = {row.id: row.name for row in vms_by_ids(tx, sources)}
    makers = reading_tasks.refs(tx, {it.task_id for it in templates if it.task_id})
    found = []
    for it in templates:
        home = providers[it.provider_id]
        vm = it.vm_id and vms.get(it.vm_id)
        found.append(
            TemplateView(
                id=it.id,
                name=it.name,
                provider=ProviderRef(home.id, home.name, home.kind),
                vm=Ref("vm", it.vm_id, vm, f"/vms/{it.vm_id}")
                if it.vm_id and vm
                else None,
                disks=len(it.images),
                created_at=it.created_at,
                task=makers.get(it.task_id or ""),
            )
        )
    return tuple(found)


def _disks(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[DiskView, ...]]:
    disks = schema.disks
    query = sa.select(disks).where(disks.c.vm_id.in_(ids)).order_by(disks.c.position)
    found: dict[str, tuple[DiskView, ...]] = {}
    for row in tx.execute(query):
        disk = DiskView(row.id, row.alias, row.size_bytes, row.domain)
        found[row.vm_id] = (*found.get(row.vm_id, ()), disk)
    return found
