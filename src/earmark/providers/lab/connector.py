"""What the lab needs to be reached, and what its API promises."""

import base64
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from earmark.domain.capabilities import (
    Consoles,
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
)
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, Unsupported
from earmark.providers.endpoint import Url
from earmark.providers.lab.calls import Calls
from earmark.providers.lab.consoles import LabConsoles
from earmark.providers.lab.credentials import LabCredentials
from earmark.providers.lab.images import LabImages
from earmark.providers.lab.inventory import LabInventory
from earmark.providers.lab.machines import LabDisks, LabMachines, LabSnapshots
from earmark.providers.lab.marked import LabMarked
from earmark.providers.lab.power import LabPower
from earmark.providers.lab.templates import LabTemplates
from earmark.providers.lab.tenants import LabTenants
from earmark.providers.transport import trust

C = TypeVar("C")


class LabSettings(BaseModel):
    """Where a lab is and who we are there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url = Field(title="URL", description="https://host:port of the lab")
    username: str = Field("operator", title="User name", pattern=r"^[^:\x00-\x1f]+$")
    ca_file: Path | None = Field(
        None,
        title="CA file",
        description="Certificates (PEM) to trust instead of the public ones",
    )


def _absolute(name: str) -> Operation:
    return Operation(
        name,
        EffectClass.ABSOLUTE,
        source="the lab's own API: asking for a state that is reached or under way "
        "changes nothing, and what is gone already is not found",
        max_in_flight=timedelta(seconds=5),
        send_seconds=10.0,
        poll_seconds=0.5,
    )


def _creation(name: str) -> Operation:
    return Operation(
        name,
        EffectClass.TOKEN,
        source="the lab's own API: a token that is known is answered with the task of "
        "the first request, for ever, and is kept inside what the task makes",
        visibility_lag=timedelta(seconds=2),
        max_in_flight=timedelta(seconds=5),
        send_seconds=10.0,
        poll_seconds=0.5,
    )


_OPERATIONS = (
    _absolute("vm.power_on"),
    _absolute("vm.power_off"),
    _absolute("vm.shutdown"),
    _absolute("vm.remove"),
    _absolute("disk.switch"),
    _absolute("image.delete"),
    _absolute("marked.destroy"),
    _creation("snapshot.create"),
    _creation("image.copy"),
    _creation("template.create"),
    _creation("tenant.create"),
)

_CAPABILITIES: Mapping[type[Any], Callable[[Calls], Any]] = {
    Credentials: LabCredentials,
    InventorySource: LabInventory,
    Power: LabPower,
    Images: LabImages,
    Templates: LabTemplates,
    Tenants: LabTenants,
    Snapshots: LabSnapshots,
    Disks: LabDisks,
    Machines: LabMachines,
    Consoles: LabConsoles,
    Marked: LabMarked,
}


class LabSession:
    """A lab's clients. Every call has a connection of its own, so none is kept."""

    def __init__(
        self, url: str, login: str, trusted: ssl.SSLContext, installation: str
    ) -> None:
        self._url = url
        self._login = login
        self._trusted = trusted
        self._installation = installation

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """Return the client; raises `Unsupported` for what the lab cannot do."""
        client = _CAPABILITIES.get(capability)
        if client is None:
            raise Unsupported(f"The lab has no capability {capability.__name__}.")
        way = (self._url, self._login, self._trusted, deadline, self._installation)
        return cast(C, client(Calls(*way)))

    def close(self) -> None:
        """Nothing is kept open between calls."""


class LabConnector:
    """The lab as a kind of provider."""

    kind = "lab"
    title = "Earmark lab (simulated)"
    settings: type[BaseModel] = LabSettings
    secrets: Mapping[str, str] = MappingProxyType({"password": "Password"})
    operations: Mapping[str, Operation] = MappingProxyType(
        {operation.name: operation for operation in _OPERATIONS}
    )

    def open(self, config: ProviderConfig) -> LabSession:
        """Return a session; raises `BadInput` for a missing password or CA file."""
        settings = config.settings
        assert isinstance(settings, LabSettings)
        password = config.secrets.get("password")
        if password is None:
            raise BadInput("The lab needs a password.", fields={"password": "missing"})
        login = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
        trusted = trust(settings.ca_file)
        return LabSession(settings.url, login, trusted, config.installation)


CONNECTOR = LabConnector()
