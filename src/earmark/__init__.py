"""Durable commands for systems you do not control.

What an author of commands needs, in one place:

    from earmark import Ctx, Done, ExternalJob, Failed, Found, Images, Running
"""

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.capabilities import (
    Credentials,
    Disks,
    Images,
    InventorySource,
    Machines,
    Power,
    Snapshots,
    Templates,
    Tenants,
)
from earmark.domain.command import (
    Action,
    Child,
    Command,
    Composite,
    Deadlines,
    Doubt,
    ExternalJob,
    OnRestart,
    Retry,
    WhenLocked,
)
from earmark.domain.errors import (
    JobUnknown,
    NameTaken,
    NotSent,
    Refused,
    Rejected,
    Throttled,
)
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.domain.refs import ProviderRef, TemplateRef, VmRef
from earmark.domain.secret import Secret

__all__ = [
    "Action",
    "Child",
    "Command",
    "Composite",
    "Credentials",
    "Ctx",
    "Deadlines",
    "Disks",
    "Done",
    "Doubt",
    "ExternalJob",
    "Failed",
    "Found",
    "Images",
    "InventorySource",
    "Job",
    "JobUnknown",
    "Lock",
    "Machines",
    "NameTaken",
    "NotSent",
    "OnRestart",
    "Power",
    "ProviderRef",
    "Refused",
    "Rejected",
    "Results",
    "Retry",
    "Running",
    "Secret",
    "Snapshots",
    "TemplateRef",
    "Templates",
    "Tenants",
    "Throttled",
    "Tx",
    "VmRef",
    "WhenLocked",
    "exclusive",
    "shared",
]
