"""What the contract's tests need of a provider: a connector, and perhaps a peer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from earmark.domain.connector import Connector, ProviderConfig, Session, settings_of
from earmark.domain.deadline import Deadline

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A connector, and settings that it accepts.

    `address` is the setting that says where the provider is; `vm` is an id of the
    right form.
    """

    connector: Connector
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    address: str
    vm: str

    def session(
        self, url: str | None = None, secrets: Mapping[str, str] | None = None
    ) -> Session:
        """Open a session, with whatever is at `url`."""
        values = dict(self.settings)
        if url is not None:
            values[self.address] = url
        return self.connector.open(
            ProviderConfig(
                settings_of(self.connector, values),
                self.secrets if secrets is None else secrets,
            )
        )

    def client(
        self,
        capability: type[C],
        url: str | None = None,
        seconds: float = 30.0,
    ) -> C:
        """Return a typed client of a new session; its time begins when it is open."""
        session = self.session(url)
        return session.capability(capability, Deadline(seconds))


@dataclass(frozen=True, kw_only=True)
class Site(Kind):
    """A connector with a peer that works, at its settings' own address.

    `vm` is on, is called `vm_name` and has a disk of `disk_bytes`; `missing_vm` does
    not exist. `asked_to_stop` counts the requests to stop a VM that the peer has
    received since the test began.
    """

    vm_name: str
    disk_bytes: int
    missing_vm: str
    asked_to_stop: Callable[[], int]
    kill: Callable[[], None]
