"""The JSON documents of `--json`: the contract's names and no others."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from earmark.domain.inventory import Disk, Provider, Zone
from earmark.domain.orphan import Orphan
from earmark.engine.browse import TaskFace
from earmark.engine.cancel import Offer
from earmark.engine.evidence import Case

Document = dict[str, Any]

_TASK = (
    "id",
    "command",
    "title",
    "state",
    "outcome",
    "progress",
    "message",
    "result",
    "error",
    "object",
    "user",
    "parent",
    "zone",
    "role",
    "attempt",
    "undoes",
    "retry_of",
    "retried_by",
    "cancelled_by",
    "waiting_for",
    "created_at",
    "started_at",
    "finished_at",
    "version",
)


def task_document(task: TaskFace) -> Document:
    """A task; `result` is null unless it ended well, `error` unless it did not."""
    facts = asdict(task)
    return {name: facts[name] for name in _TASK}


def case_document(offer: Offer | None, held: Case | None) -> Document:
    """What can be asked of one task now: `offer` says what a cancel would mean; with
    `choices` and `evidence` a person decides about a held one."""
    return {
        "offer": asdict(offer) if offer else None,
        "choices": [asdict(choice) for choice in held.choices] if held else [],
        "evidence": [_piece(it) for it in held.seen] if held else [],
    }


def _piece(seen: Any) -> Document:
    return {
        "at": seen.at,
        "kind": seen.kind,
        "text": seen.text,
        "external_id": seen.external_id,
    }


def vm_document(vm: Any, disks: Sequence[Disk]) -> Document:
    """A VM, of its row with the provider's name and zone beside it."""
    return {
        "id": vm.id,
        "name": vm.name,
        "provider": vm.provider,
        "zone": vm.zone,
        "power_state": vm.power_state,
        "disks": [asdict(disk) for disk in disks],
    }


def provider_document(provider: Provider) -> Document:
    """A provider, without a word of its secrets."""
    return {
        "id": provider.id,
        "name": provider.name,
        "kind": provider.kind,
        "zone": provider.zone,
        "settings": dict(provider.settings),
        "health": provider.health,
        "health_message": provider.health_message,
        "created_at": provider.created_at,
        "refreshed_at": provider.refreshed_at,
    }


def orphan_document(orphan: Orphan, provider: str) -> Document:
    """An orphan, with its provider's name."""
    facts = asdict(orphan)
    task = facts.pop("task_id")
    del facts["provider_id"]
    return {"id": facts.pop("id"), "provider": provider, **facts, "task": task}


def zone_document(zone: Zone, live_workers: int) -> Document:
    """A zone, and how many workers stand in it."""
    return asdict(zone) | {"workers": live_workers}


def worker_document(worker: Any, state: str) -> Document:
    """A worker, of its row; `state` as far as it can be believed."""
    return {
        "id": worker.id,
        "zone": worker.zone,
        "roles": list(worker.roles),
        "state": state,
        "host": worker.host,
        "pid": worker.pid,
        "slots": worker.slots,
        "started_at": worker.started_at,
        "seen_at": worker.seen_at,
    }
