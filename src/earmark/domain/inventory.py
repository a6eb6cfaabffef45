"""What there is: providers, zones, VMs with disks and snapshots, templates, tenants;
ours and as observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PowerState(StrEnum):
    """A VM's power state as last observed."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ObservedDisk:
    """A disk as a provider shows it. `image` is what a copy starts from."""

    external_id: str
    alias: str
    image: str
    size_bytes: int
    domain: str


@dataclass(frozen=True, slots=True)
class ObservedVm:
    """A VM as a provider shows it at one moment. `disks` is None where nobody looked
    at them, and empty where there are none."""

    external_id: str
    name: str
    power_state: PowerState
    disks: tuple[ObservedDisk, ...] | None = None


@dataclass(frozen=True, slots=True)
class ObservedTemplate:
    """A template as a provider shows it at one moment."""

    external_id: str
    name: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedSnapshot:
    """A snapshot as a provider shows it; `vm` is the provider's id of its VM."""

    external_id: str
    vm: str
    name: str


@dataclass(frozen=True, slots=True)
class ObservedTenant:
    """A tenant as a provider shows it at one moment."""

    external_id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that a provider listed in one fetch."""

    vms: tuple[ObservedVm, ...] = ()
    templates: tuple[ObservedTemplate, ...] = ()
    snapshots: tuple[ObservedSnapshot, ...] = ()
    tenants: tuple[ObservedTenant, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a VM in our inventory."""

    id: str
    external_id: str
    alias: str
    image: str
    size_bytes: int
    domain: str


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM in our inventory; `observed_at` is when the fetch behind it began."""

    id: str
    provider_id: str
    external_id: str
    name: str
    power_state: PowerState
    observed_at: datetime
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A VM template in our inventory."""

    id: str
    provider_id: str
    external_id: str
    name: str
    images: tuple[str, ...]
    created_at: datetime
    vm_id: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a VM in our inventory."""

    id: str
    provider_id: str
    vm_id: str
    external_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant in our inventory; `task_id` is the task that made it, if ours did."""

    id: str
    provider_id: str
    external_id: str
    name: str
    description: str
    created_at: datetime
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """An external system that we were told about. Secrets are ids in `secrets`."""

    id: str
    name: str
    kind: str
    zone: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    created_at: datetime | None = None
    refreshed_at: datetime | None = None
    health: str = "unknown"
    health_message: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A place where workers stand; providers belong to one zone."""

    id: str
    name: str
    description: str = ""
