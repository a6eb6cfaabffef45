"""`earmark vms`: what the providers showed last, and their power."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import click
import sqlalchemy as sa

from earmark.cli.asking import How, ask, asks, json_option
from earmark.cli.documents import vm_document
from earmark.cli.exits import Exit
from earmark.cli.output import age, moment, print_facts, print_json, print_rows
from earmark.cli.session import Session, pass_session
from earmark.commands.power_plans import power
from earmark.domain.inventory import Disk, Snapshot
from earmark.store import inventory, locks, snapshots
from earmark.store.database import Transaction
from earmark.store.schema import disks, providers
from earmark.store.schema import vms as vm_table

_GIB = 1 << 30


@click.group(no_args_is_help=True)
def vms() -> None:
    """VMs: list them, turn them on and off, restart them."""


@vms.command("ls")
@json_option
@pass_session
def ls(session: Session, as_json: bool) -> None:
    """List the VMs of all providers."""

    def work(tx: Transaction) -> tuple[Sequence[Any], dict[str, list[Disk]]]:
        return _rows(tx), _all_disks(tx)

    with session.engine() as engine:
        rows, owned = engine.read(work)
    if as_json:
        print_json([vm_document(row, owned.get(row.id, [])) for row in rows])
        return
    print_rows(
        ("NAME", "POWER", "PROVIDER", "ZONE", "DISKS", "SEEN"),
        [
            (
                row.name,
                row.power_state,
                row.provider,
                row.zone,
                _size(owned.get(row.id, [])),
                age(row.observed_at),
            )
            for row in rows
        ],
    )


@vms.command()
@click.argument("vm")
@json_option
@pass_session
def show(session: Session, vm: str, as_json: bool) -> None:
    """Show one VM, by name or id."""

    def work(
        tx: Transaction,
    ) -> tuple[Any, Sequence[Disk], Sequence[Snapshot], dict[str, str]]:
        found = inventory.vm(tx, vm)
        (row,) = _rows(tx, found.id)
        return row, found.disks, snapshots.of_vm(tx, found.id), _locks(tx, found.id)

    with session.engine() as engine:
        row, owned, taken, locked = engine.read(work)
    if as_json:
        print_json(vm_document(row, owned))
        return
    print_facts(
        {
            "name": row.name,
            "id": row.id,
            "power": row.power_state,
            "provider": f"{row.provider} ({row.external_id} there)",
            "zone": row.zone,
            "disks": "\n".join(
                f"{disk.alias}, {disk.size_bytes / _GIB:g} GiB in {disk.domain}"
                for disk in owned
            ),
            "snapshots": "\n".join(
                f"{snapshot.name}, {age(snapshot.created_at)}" for snapshot in taken
            ),
            **locked,
            "gone": f"since {age(row.gone_at)}" if row.gone_at else "",
            "seen": age(row.observed_at),
        }
    )


def _locks(tx: Transaction, vm_id: str) -> dict[str, str]:
    """Who holds a VM, and who waits for it, the next one first."""
    roots = {
        "locked by": locks.on(tx, "vm", vm_id),
        "waited for by": locks.waiting(tx, "vm", vm_id),
    }
    return {
        name: "\n".join(
            f"{it.title}, {it.mode}, since {moment(it.since)} (task {it.id})"
            for it in found
        )
        for name, found in roots.items()
    }


def _rows(tx: Transaction, vm_id: str | None = None) -> Sequence[Any]:
    query = (
        sa.select(
            vm_table,
            providers.c.name.label("provider"),
            providers.c.zone.label("zone"),
        )
        .join(providers, providers.c.id == vm_table.c.provider_id)
        .order_by(vm_table.c.name, vm_table.c.id)
    )
    if vm_id is None:
        query = query.where(vm_table.c.gone_at.is_(None))
    else:
        query = query.where(vm_table.c.id == vm_id)
    return tx.execute(query).all()


def _all_disks(tx: Transaction) -> dict[str, list[Disk]]:
    owned = defaultdict(list)
    for row in tx.execute(sa.select(disks).order_by(disks.c.vm_id, disks.c.position)):
        disk = Disk(
            row.id, row.external_id, row.alias, row.image, row.size_bytes, row.domain
        )
        owned[row.vm_id].append(disk)
    return dict(owned)


def _size(owned: Sequence[Disk]) -> str:
    size = sum(disk.size_bytes for disk in owned) / _GIB
    return f"{len(owned)}, {size:g} GiB" if owned else "none"


def _power_verb(verb: str, words: str) -> None:
    @vms.command(verb, help=f"{words} Several are one task: canaries go first.")
    @click.argument("names", metavar="VM...", nargs=-1, required=True)
    @click.option(
        "--canaries",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="Of several VMs, how many must end well before the rest is sent.",
    )
    @asks
    @pass_session
    def command(
        session: Session,
        names: tuple[str, ...],
        canaries: int,
        wait: bool,
        timeout: float | None,
        as_json: bool,
    ) -> Exit:
        how = How(wait, timeout, as_json)
        asked = power(verb, names, canaries)
        with session.engine() as engine:
            return ask(engine, asked, how)


_power_verb("start", "Start VMs.")
_power_verb("stop", "Pull the plug of VMs, without asking their guests.")
_power_verb("shutdown", "Ask the guests of VMs to shut down.")
_power_verb("restart", "Pull the plug of VMs, and start each once it is off.")
