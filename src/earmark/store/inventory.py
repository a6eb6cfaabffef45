"""Inventory rows: zones, providers, VMs, disks, templates. Rules on what may overwrite
what live in the `inventory` floor; here are plain reads and writes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import BadInput, NameTaken, UnknownName
from earmark.domain.ids import new_id
from earmark.domain.inventory import (
    Disk,
    ObservedDisk,
    PowerState,
    Provider,
    Template,
    Vm,
    Zone,
)
from earmark.store import dialect, listed, orphans
from earmark.store.database import Transaction
from earmark.store.schema import disks, providers, templates, vms, zones
from earmark.store.schema import orphans as orphan_table
from earmark.store.wakeups import Topic

#: Whoever adds a provider queues its first listing; the scheduler only follows.
FIRST_REFRESH = timedelta(minutes=1)

_PROVIDER = [providers.c[name] for name in Provider.__slots__]
_REF = sa.bindparam("ref", type_=sa.String())

#: By id or name. Built once: it is read with every look at a provider.
_ONE_PROVIDER = (
    sa.select(*_PROVIDER)
    .where(sa.or_(providers.c.id == _REF, providers.c.name == _REF))
    .order_by(providers.c.id != _REF)
    .limit(1)
)


def zone_names(tx: Transaction) -> list[str]:
    """The names of all zones."""
    return list(tx.execute(sa.select(zones.c.name).order_by(zones.c.name)).scalars())


def list_zones(tx: Transaction) -> list[Zone]:
    """All zones by name."""
    rows = tx.execute(sa.select(zones).order_by(zones.c.name))
    return [Zone(row.id, row.name, row.description) for row in rows]


def add_zone(tx: Transaction, name: str, description: str = "") -> Zone:
    """Add a zone; raises `NameTaken`."""
    zone = Zone(new_id(), name, description)
    values = {
        "id": zone.id,
        "name": name,
        "description": description,
        "created_at": tx.now,
    }
    if not dialect.insert_new(tx.connection, zones, values):
        raise NameTaken(f"There is a zone named {name!r} already.")
    tx.wake(Topic.CHANGES)
    return zone


def check_zone(tx: Transaction, name: str) -> str:
    """The name, if there is such a zone; raises `UnknownName`."""
    if name in zone_names(tx):
        return name
    known = ", ".join(zone_names(tx))
    raise UnknownName(
        f"There is no zone {name!r}; there are: {known}.",
        hint="Add it with `earmark zones add NAME`.",
    )


def _provider(row: sa.Row[Any]) -> Provider:
    return Provider(**row._mapping)


def list_providers(tx: Transaction) -> list[Provider]:
    """All providers by name."""
    query = sa.select(*_PROVIDER).order_by(providers.c.name)
    return [_provider(row) for row in tx.execute(query)]


def provider(tx: Transaction, ref: str) -> Provider:
    """A provider by id or name; raises `UnknownName`."""
    row = tx.execute(_ONE_PROVIDER, {"ref": ref}).one_or_none()
    if row is None:
        raise UnknownName(
            f"There is no provider {ref!r}.", hint="See `earmark providers ls`."
        )
    return _provider(row)


def add_provider(tx: Transaction, new: Provider) -> None:
    """Insert a provider; raises `NameTaken`."""
    values = {name: getattr(new, name) for name in Provider.__slots__}
    values |= {"created_at": tx.now, "refresh_due_at": tx.now + FIRST_REFRESH}
    values |= {"settings": dict(new.settings), "secrets": dict(new.secrets)}
    if not dialect.insert_new(tx.connection, providers, values):
        raise NameTaken(
            f"There is a provider named {new.name!r} already.",
            hint="Choose another name.",
        )
    tx.wake(Topic.CHANGES)


def change_provider(tx: Transaction, provider_id: str, **values: Any) -> None:
    """Change columns of a provider."""
    tx.execute(
        sa.update(providers).where(providers.c.id == provider_id).values(**values)
    )
    tx.wake(Topic.CHANGES)


def refresh_due(tx: Transaction) -> list[Provider]:
    """The providers whose next listing is due."""
    query = sa.select(*_PROVIDER).where(providers.c.refresh_due_at <= tx.now)
    return [_provider(row) for row in tx.execute(query)]


def select_vms() -> sa.Select[Any]:
    """SELECT of VMs that exist as far as we know."""
    return sa.select(vms).where(vms.c.gone_at.is_(None))


def _vm(tx: Transaction, row: sa.Row[Any]) -> Vm:
    return Vm(
        id=row.id,
        provider_id=row.provider_id,
        external_id=row.external_id,
        name=row.name,
        power_state=PowerState(row.power_state),
        observed_at=row.observed_at,
        disks=tuple(disks_of(tx, row.id)),
    )


def vm(tx: Transaction, ref: str) -> Vm:
    """A VM by id, name or `provider/name`.

    Raises `UnknownName`, and `BadInput` when several have that name.
    """
    row = tx.execute(sa.select(vms).where(vms.c.id == ref)).one_or_none()
    if row is not None:
        return _vm(tx, row)
    named = select_vms().join(providers, providers.c.id == vms.c.provider_id)
    full_name = providers.c.name + "/" + vms.c.name
    named = named.where(sa.or_(vms.c.name == ref, full_name == ref))
    rows = tx.execute(named.limit(2)).all()
    if len(rows) > 1:
        raise BadInput(
            f"More than one VM is named {ref!r}.",
            hint="Say which: PROVIDER/NAME, as in `earmark vms ls`.",
        )
    if not rows:
        raise UnknownName(f"There is no VM {ref!r}.", hint="See `earmark vms ls`.")
    return _vm(tx, rows[0])


def vms_of(tx: Transaction, provider_id: str) -> dict[str, sa.Row[Any]]:
    """External id → row of every VM of a provider, the gone ones too."""
    rows = tx.execute(sa.select(vms).where(vms.c.provider_id == provider_id))
    return {row.external_id: row for row in rows}


def lock_vms(
    tx: Transaction, provider_id: str, external_ids: Sequence[str] | None = None
) -> dict[str, sa.Row[Any]]:
    """As `vms_of`, these or all, and nobody else writes them until we commit: what is
    judged from the rows (rule 18) then still holds when they are written."""
    return listed.lock(tx, vms, provider_id, external_ids)


def insert_vm(tx: Transaction, values: dict[str, Any]) -> str | None:
    """Insert a VM; returns its id, or None when somebody has just inserted it."""
    tx.wake(Topic.CHANGES)
    row = values | {"id": new_id(), "version": 1, "gone_at": None}
    return row["id"] if dialect.insert_new(tx.connection, vms, row) else None


def change_vm(tx: Transaction, vm_id: str, values: dict[str, Any]) -> None:
    """Change a locked VM, which exists."""
    tx.execute(
        sa.update(vms)
        .where(vms.c.id == vm_id)
        .values(version=vms.c.version + 1, gone_at=None, **values)
    )
    tx.wake(Topic.CHANGES)


def touch_vms(tx: Transaction, ids: Sequence[str], observed_at: datetime) -> None:
    """Seen again, and nothing about them has changed."""
    listed.touch(tx, vms, ids, observed_at)


def vm_gone(
    tx: Transaction, vm_id: str, since: datetime, **times: datetime | None
) -> None:
    """A whole listing lacks it, which is an observation too; or a command of ours has
    removed it, which is in `times`."""
    change = sa.update(vms).where(vms.c.id == vm_id)
    change = change.values(gone_at=since, observed_at=since, **times)
    tx.execute(change.values(version=vms.c.version + 1))
    tx.wake(Topic.CHANGES)


def _disk(row: sa.Row[Any]) -> Disk:
    return Disk(
        row.id, row.external_id, row.alias, row.image, row.size_bytes, row.domain
    )


def disks_of(tx: Transaction, vm_id: str) -> list[Disk]:
    """A VM's disks in their order."""
    rows = tx.execute(
        sa.select(disks).where(disks.c.vm_id == vm_id).order_by(disks.c.position)
    )
    return [_disk(row) for row in rows]


def all_disks(tx: Transaction, provider_id: str) -> dict[str, list[Disk]]:
    """VM id → its disks in their order, for all VMs of a provider."""
    owned = sa.select(vms.c.id).where(vms.c.provider_id == provider_id)
    query = sa.select(disks).where(disks.c.vm_id.in_(owned))
    found: dict[str, list[Disk]] = {}
    for row in tx.execute(query.order_by(disks.c.vm_id, disks.c.position)):
        found.setdefault(row.vm_id, []).append(_disk(row))
    return found


def replace_disks(
    tx: Transaction, vm_id: str, observed: Sequence[ObservedDisk]
) -> None:
    """Make a VM's disks what was observed; those that stay keep their ids."""
    known = {disk.external_id: disk.id for disk in disks_of(tx, vm_id)}
    tx.execute(sa.delete(disks).where(disks.c.vm_id == vm_id))
    new = [
        {
            "id": known.get(disk.external_id) or new_id(),
            "vm_id": vm_id,
            "position": position,
            "external_id": disk.external_id,
            "alias": disk.alias,
            "image": disk.image,
            "size_bytes": disk.size_bytes,
            "domain": disk.domain,
        }
        for position, disk in enumerate(observed)
    ]
    if new:
        tx.execute(sa.insert(disks), new)


def _template(row: sa.Row[Any]) -> Template:
    return Template(
        id=row.id,
        provider_id=row.provider_id,
        external_id=row.external_id,
        name=row.name,
        images=tuple(row.images),
        created_at=row.created_at,
        vm_id=row.vm_id,
        task_id=row.task_id,
    )


def list_templates(tx: Transaction, provider_id: str | None = None) -> list[Template]:
    """Templates that exist as far as we know, by name."""
    query = sa.select(templates).where(templates.c.gone_at.is_(None))
    if provider_id is not None:
        query = query.where(templates.c.provider_id == provider_id)
    return [_template(row) for row in tx.execute(query.order_by(templates.c.name))]


def template(tx: Transaction, ref: str) -> Template:
    """A template by id or name; raises `UnknownName`."""
    row = tx.execute(
        sa.select(templates)
        .where(
            sa.or_(
                templates.c.id == ref,
                sa.and_(templates.c.name == ref, templates.c.gone_at.is_(None)),
            )
        )
        .order_by(templates.c.id != ref)
        .limit(1)
    ).one_or_none()
    if row is None:
        raise UnknownName(f"There is no template {ref!r}.")
    return _template(row)


_NAMED = {
    "vm": vms,
    "provider": providers,
    "template": templates,
    "orphan": orphan_table,
}


def name_of(tx: Transaction, kind: str, object_id: str) -> str:
    """What people call an object; its id once nothing is known of it."""
    table = _NAMED[kind]
    name = tx.execute(
        sa.select(table.c.name).where(table.c.id == object_id)
    ).scalar_one_or_none()
    return name or object_id


def vm_names(tx: Transaction, ids: Iterable[str]) -> dict[str, str]:
    """Id → name of VMs, the gone ones too."""
    query = sa.select(vms.c.id, vms.c.name).where(vms.c.id.in_(list(ids)))
    return {row.id: row.name for row in tx.execute(query)}


def resolve(tx: Transaction, kind: str, ref: str) -> str:
    """The id of an object named by id or name; raises `UnknownName`."""
    if kind == "vm":
        return vm(tx, ref).id
    if kind == "provider":
        return provider(tx, ref).id
    if kind == "orphan":
        return orphans.find(tx, ref).id
    return template(tx, ref).id
