"""What providers can do for us: one protocol per capability, typed for authors.

Calls that change something take the `token` and return the provider's handle of the
job. They raise `NotSent` or `Refused`; any other exception leaves the effect in doubt.
Calls that read may raise anything; nothing is concluded from it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel

from earmark.domain.inventory import Listing, ObservedVm, PowerState
from earmark.domain.outcome import Found, Progress


class VerifyCode(StrEnum):
    """What came of trying credentials; never a bare yes or no."""

    OK = "ok"
    AUTH = "auth"
    DNS = "dns"
    TLS = "tls"
    TIMEOUT = "timeout"
    REFUSED = "refused"


class Verification(BaseModel, frozen=True):
    """The result of verifying credentials: a code and a line for a person."""

    code: VerifyCode
    detail: str

    @property
    def ok(self) -> bool:
        """True for code `ok` alone."""
        return self.code is VerifyCode.OK


class Credentials(Protocol):
    """Tries the settings and secrets."""

    def verify(self) -> Verification:
        """Ask the endpoint who we are. Never raises for what it is meant to find."""
        ...


class InventorySource(Protocol):
    """Lists what there is."""

    def list_all(self) -> Listing:
        """Everything that the provider shows us."""
        ...


class Power(Protocol):
    """Turns VMs on and off. Class `absolute`: the target state is what counts."""

    def power_on(self, vm: str, token: str) -> str:
        """Start; returns the job's handle."""
        ...

    def power_off(self, vm: str, token: str) -> str:
        """Pull the plug; returns the job's handle."""
        ...

    def shutdown(self, vm: str, token: str) -> str:
        """Ask the guest to shut down; that it was asked proves nothing."""
        ...

    def vms(self, ids: Sequence[str]) -> Mapping[str, ObservedVm]:
        """The VMs as they are now; those that do not exist are missing."""
        ...


class Images(Protocol):
    """Copies disk images."""

    def copy(self, image: str, domain: str, alias: str, token: str) -> str:
        """Start a copy; returns the job's handle."""
        ...

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the new image's id)."""
        ...

    def find(self, token: str) -> Sequence[Found]:
        """Every job or image that carries the token."""
        ...

    def cancel(self, job: str) -> None:
        """Ask for the job to stop; ended jobs are left alone."""
        ...


class Templates(Protocol):
    """Makes VM templates out of images."""

    def create(self, name: str, vm: str, images: Sequence[str], token: str) -> str:
        """Start making the template; returns the job's handle."""
        ...

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the template's id)."""
        ...

    def find(self, token: str) -> Sequence[Found]:
        """Every job or template that carries the token."""
        ...


def state_reached(vm: ObservedVm | None, target: PowerState) -> bool:
    """True when the VM was seen in the target state."""
    return vm is not None and vm.power_state is target
