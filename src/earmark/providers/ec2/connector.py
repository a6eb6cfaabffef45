"""What EC2 needs to be reached, and what its API promises."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from earmark.domain.capabilities import (
    Consoles,
    Credentials,
    InventorySource,
    Marked,
    Power,
)
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, Unsupported
from earmark.providers.ec2.calls import Calls, Clients
from earmark.providers.ec2.credentials import Ec2Credentials
from earmark.providers.ec2.inventory import Ec2Inventory
from earmark.providers.ec2.power import Ec2Power
from earmark.providers.endpoint import Url

C = TypeVar("C")


class Ec2Settings(BaseModel):
    """A region of an account, and the key that opens it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str = Field(
        title="Region",
        description="such as eu-central-1",
        pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$",
    )
    access_key_id: str = Field(title="Access key id", pattern=r"^[\w]{16,128}$")
    endpoint_url: Url | None = Field(
        None, title="Endpoint", description="only for a service that is not AWS's own"
    )


def _power(name: str, source: str) -> Operation:
    return Operation(
        name,
        EffectClass.ABSOLUTE,
        source=f"Amazon EC2 API Reference, {source}",
        # The API is eventually consistent, for how long its documents do not say.
        visibility_lag=timedelta(seconds=10),
        # A signed request is refused five minutes after its time stamp (IAM User
        # Guide, "AWS Signature Version 4 for API requests").
        max_in_flight=timedelta(minutes=5),
        send_seconds=30.0,
        poll_seconds=3.0,
    )


_STOP = "StopInstances: stopping a stopped instance has no effect"
_OPERATIONS = (
    _power("vm.power_on", "StartInstances: starting a started one has no effect"),
    _power("vm.power_off", f"{_STOP}; Force skips the guest's own shutdown"),
    _power("vm.shutdown", _STOP),
)

_CAPABILITIES: Mapping[type[Any], Callable[[Calls], Any]] = {
    Credentials: Ec2Credentials,
    InventorySource: Ec2Inventory,
    Power: Ec2Power,
}


class Ec2Session:
    """One account's clients for one region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """Return the client; raises `Unsupported` for what EC2 has not."""
        client = _CAPABILITIES.get(capability)
        if capability is Consoles:
            raise Unsupported(
                "An EC2 instance has no screen that the EC2 API would let us look at.",
                hint="Use its serial console, or Session Manager, in the AWS console.",
            )
        if capability is Marked:
            raise Unsupported(
                "Earmark makes nothing at Amazon EC2, it turns instances on and off: "
                "nothing of ours can be left over there."
            )
        if client is None:
            raise Unsupported(
                f"The ec2 connector has no capability {capability.__name__}: it lists "
                "instances and turns them on and off."
            )
        return cast(C, client(Calls(self._clients, deadline)))

    def close(self) -> None:
        """Nothing is kept open between calls."""


class Ec2Connector:
    """EC2 as a kind of provider."""

    kind = "ec2"
    title = "Amazon EC2"
    settings: type[BaseModel] = Ec2Settings
    secrets: Mapping[str, str] = MappingProxyType(
        {"secret_access_key": "Secret access key"}
    )
    operations: Mapping[str, Operation] = MappingProxyType(
        {operation.name: operation for operation in _OPERATIONS}
    )

    def open(self, config: ProviderConfig) -> Ec2Session:
        """Return a session; raises `BadInput` without boto3 or without the secret."""
        if find_spec("boto3") is None:
            raise BadInput("The ec2 connector needs boto3: pip install 'earmark[ec2]'")
        settings = config.settings
        assert isinstance(settings, Ec2Settings)
        secret = config.secrets.get("secret_access_key")
        if not secret:
            raise BadInput(
                "EC2 needs a secret access key.",
                fields={"secret_access_key": "missing"},
            )
        return Ec2Session(
            Clients(
                settings.region, settings.access_key_id, secret, settings.endpoint_url
            )
        )


CONNECTOR = Ec2Connector()
