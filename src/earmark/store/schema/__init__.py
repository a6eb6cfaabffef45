"""Every table and column, with what it means. Migrations follow this; a test compares.

Names are prefixed `earmark_` because the tables may live in the caller's database.
All times are the store's clock, in UTC (rule 14).
"""

from earmark.store.schema.effects import (
    evidence,
    placeholders,
    sends,
)
from earmark.store.schema.house import (
    audit,
    clock,
    consoles,
    installation,
    leases,
    secrets,
    workers,
    zones,
)
from earmark.store.schema.inventory import (
    disks,
    provider_drafts,
    providers,
    snapshots,
    templates,
    tenants,
    vms,
)
from earmark.store.schema.orphans import orphans, sweeps
from earmark.store.schema.work import (
    idempotency,
    lock_queue,
    locks,
    notifications,
    task_log,
    task_needs,
    tasks,
    tombstones,
)

__all__ = [
    "audit",
    "clock",
    "consoles",
    "disks",
    "evidence",
    "idempotency",
    "installation",
    "leases",
    "lock_queue",
    "locks",
    "notifications",
    "orphans",
    "placeholders",
    "provider_drafts",
    "providers",
    "secrets",
    "sends",
    "snapshots",
    "sweeps",
    "task_log",
    "task_needs",
    "tasks",
    "templates",
    "tenants",
    "tombstones",
    "vms",
    "workers",
    "zones",
]
