"""What is at the lab against what our rows say of it: each thing there is explained by
a row, and each good end is there. The sweep asks the first of these of any provider;
here both are asked of the lab's own lists, by nobody's code but this.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.schema import (
    disks,
    placeholders,
    snapshots,
    tasks,
    templates,
    tenants,
    vms,
)
from tests.peers.lab import LabProcess

_MADE = {
    "CreateImageTemplate": "images",
    "SealTemplate": "templates",
    "CreateTenant": "tenants",
    "CreateSnapshot": "snapshots",
}
_TARGETS = {"PowerOn": "on", "PowerOff": "off", "ShutdownGuest": "off"}
_NOT_THERE = ("planned", "dropped", "refused")

Rows = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AtLab:
    """All that a lab has: lists by name, what its ledger says was done, and the tokens
    of the jobs that it was told to forget."""

    lists: Mapping[str, Mapping[str, Any]]
    effects: tuple[Any, ...]
    forgotten: frozenset[str]

    def doubled(self) -> dict[str, int]:
        """Token → effects, of those with more than one."""
        counts = Counter(it["token"] for it in self.effects if it["token"])
        return {token: count for token, count in counts.items() if count > 1}

    def on_disks(self) -> frozenset[str]:
        """The images that disks of VMs are on."""
        vms = self.lists["vms"].values()
        return frozenset(disk["image"] for vm in vms for disk in vm["disks"])


def look(lab: LabProcess) -> AtLab:
    """Read a lab that keeps still."""
    lists = {
        name: {it["id"]: it for it in lab.call("GET", f"/{name}").json()[name]}
        for name in ("vms", "images", "templates", "tenants", "snapshots")
    }
    return AtLab(lists, tuple(lab.effects()), forgotten(lab))


def forgotten(lab: LabProcess) -> frozenset[str]:
    """The tokens of the jobs that a lab was told to forget."""
    hidden = "SELECT token FROM tasks WHERE hidden AND token IS NOT NULL"
    with closing(sqlite3.connect(lab.state / "lab.sqlite")) as site:
        return frozenset(token for (token,) in site.execute(hidden))


def quiet(lab: LabProcess) -> bool:
    """Whether nothing goes on at the lab, and nothing is still on its way to it."""
    going = "SELECT 1 FROM tasks WHERE state != 'finished' UNION SELECT 1 FROM late"
    with closing(sqlite3.connect(lab.state / "lab.sqlite")) as site:
        return site.execute(going).fetchone() is None


def unexplained(engine: Engine, at: AtLab) -> list[str]:
    """What is at the lab with a token of ours, and no row accounts for."""

    def work(tx: Transaction) -> list[str]:
        rows = {row.id: row for row in tx.execute(sa.select(placeholders))}
        used = at.on_disks()
        return [
            f"unexplained: {kind} {it['id']} at the lab carries {it['token']}: {why}"
            for kind in _MADE.values()
            for it in at.lists[kind].values()
            if it["token"]
            and (why := _not_explained(rows.get(it["token"]), it["id"], used))
        ]

    return engine.read(work)


def _not_explained(row: Any, thing: str, used: frozenset[str]) -> str:
    if row is None:
        return "there is no such row"
    if row.state in _NOT_THERE:
        return f"its row is {row.state}"
    # A copy that a disk is on by now is part of that, and nothing of it is left.
    if row.undone_at is not None and thing not in used:
        return "its row says that it was taken back"
    if row.state == "settled" and row.result != thing:
        return f"its row is settled with {row.result}"
    return ""


def lost(engine: Engine, at: AtLab) -> list[str]:
    """What was reported done, and is not so at the lab."""
    return [f"lost: {what}" for what in engine.read(lambda tx: [*_lost(tx, at)])]


def _lost(tx: Transaction, at: AtLab) -> Iterator[str]:
    gone = {it["object"] for it in at.effects if it["verb"] == "image.delete"}
    known = {row.id: row for row in tx.execute(sa.select(vms))}
    words: dict[tuple[str, str], tuple[str, str] | None] = {}
    for row in _ended_in_order(tx):
        good = row.outcome in ("ok", "warned")
        if good and row.command in _MADE:
            there = at.lists[_MADE[row.command]]
            vm = known.get(row.params.get("vm"))
            with_vm = row.command == "CreateSnapshot" and vm and vm.gone_at
            left = with_vm or row.undone_at is not None or row.result in gone
            if row.result not in there and not left:
                yield f"{row.title} ({row.id}) ended well, {row.result} is not there"
        vm = known.get(row.params.get("vm"))
        if vm is None:
            continue
        if good and row.command == "RemoveVm" and vm.external_id in at.lists["vms"]:
            yield f"{row.title} ({row.id}) ended well, and the VM is there"
        # After one that did not end well, and may have done it, nothing is known.
        may = row.sent is not None and row.effect_state != "refused"
        if row.command in _TARGETS and (good or may):
            said = (_TARGETS[row.command], row.id) if good else None
            words[vm.external_id, ""] = said
        if row.command == "SwitchDisk" and (good or may):
            said = (row.result["image"], row.id) if good else None
            words[vm.external_id, row.params["disk"]] = said
    for (vm_id, disk), word in words.items():
        now = at.lists["vms"].get(vm_id)
        if word is None or now is None:
            continue
        by_alias = {it["alias"]: it["image"] for it in now["disks"]}
        is_now = by_alias.get(disk) if disk else now["power_state"]
        if is_now != word[0]:
            yield f"{now['name']} {disk} is {is_now}, task {word[1]} left it {word[0]}"


def _ended_in_order(tx: Transaction) -> list[Any]:
    """Tasks with the state of their effects, those that have not ended last."""
    query = sa.select(
        tasks,
        placeholders.c.first_sent_at.label("sent"),
        placeholders.c.state.label("effect_state"),
        placeholders.c.undone_at,
    ).join(placeholders, placeholders.c.task_id == tasks.c.id, isouter=True)
    rows = tx.execute(query).all()
    return sorted(rows, key=lambda it: (it.finished_at is None, it.finished_at, it.id))


def untrue(engine: Engine, at: AtLab) -> list[str]:
    """Where the inventory differs from the lab; to be asked after a refresh."""
    return [f"lost: {what}" for what in engine.read(lambda tx: [*_untrue(tx, at)])]


def _untrue(tx: Transaction, at: AtLab) -> Iterator[str]:
    ours: dict[str, Any] = {}
    for row in tx.execute(sa.select(vms).where(vms.c.gone_at.is_(None))):
        of_vm = sa.select(disks).where(disks.c.vm_id == row.id)
        facts = {(it.alias, it.image, it.domain) for it in tx.execute(of_vm)}
        ours[row.external_id] = (row.power_state, facts)
    theirs = {
        key: (
            it["power_state"],
            {(disk["alias"], disk["image"], disk["domain"]) for disk in it["disks"]},
        )
        for key, it in at.lists["vms"].items()
    }
    for key in ours.keys() | theirs.keys():
        if ours.get(key) != theirs.get(key):
            yield f"VM {key}: inventory {ours.get(key)}, lab {theirs.get(key)}"
    for table in (templates, tenants, snapshots):
        name = table.name.removeprefix("earmark_")
        there = sa.select(table.c.external_id).where(table.c.gone_at.is_(None))
        known = set(tx.execute(there).scalars())
        if known != at.lists[name].keys():
            yield f"{name}: differ in {known ^ at.lists[name].keys()}"
