"""Durable commands for systems you do not control.

What an author of commands or connectors needs, in one place:

    from earmark import Ctx, Done, ExternalJob, Failed, Found, Images, Running

The network is not among it: a connector's client takes it from
`earmark.providers.transport`.
"""

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.capabilities import (
    Credentials,
    Disks,
    Images,
    InventorySource,
    Machines,
    Marked,
    Power,
    Snapshots,
    Templates,
    Tenants,
    Verification,
    VerifyCode,
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
from earmark.domain.connector import (
    Connector,
    EffectClass,
    Operation,
    ProviderConfig,
    Session,
)
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    BadInput,
    EarmarkError,
    JobUnknown,
    NameTaken,
    NotSent,
    ProviderError,
    Refused,
    Rejected,
    Throttled,
    Unsupported,
)
from earmark.domain.inventory import Listing, ObservedDisk, ObservedVm, PowerState
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.mark import NO_MARK, Mark, MarkedThing
from earmark.domain.outcome import Done, Failed, Found, Job, Running, Undone
from earmark.domain.refs import ProviderRef, TemplateRef, VmRef
from earmark.domain.secret import Secret

__all__ = [
    "NO_MARK",
    "Action",
    "BadInput",
    "Child",
    "Command",
    "Composite",
    "Connector",
    "Credentials",
    "Ctx",
    "Deadline",
    "Deadlines",
    "Disks",
    "Done",
    "Doubt",
    "EarmarkError",
    "EffectClass",
    "ExternalJob",
    "Failed",
    "Found",
    "Images",
    "InventorySource",
    "Job",
    "JobUnknown",
    "Listing",
    "Lock",
    "Machines",
    "Mark",
    "Marked",
    "MarkedThing",
    "NameTaken",
    "NotSent",
    "ObservedDisk",
    "ObservedVm",
    "OnRestart",
    "Operation",
    "Power",
    "PowerState",
    "ProviderConfig",
    "ProviderError",
    "ProviderRef",
    "Refused",
    "Rejected",
    "Results",
    "Retry",
    "Running",
    "Secret",
    "Session",
    "Snapshots",
    "TemplateRef",
    "Templates",
    "Tenants",
    "Throttled",
    "Tx",
    "Undone",
    "Unsupported",
    "Verification",
    "VerifyCode",
    "VmRef",
    "WhenLocked",
    "exclusive",
    "shared",
]
