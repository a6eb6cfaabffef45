"""What providers can do for us: one class per capability, typed for authors.

A connector subclasses what its kind of provider can do; what it leaves out is refused
as `Unsupported`. (Plain classes, not protocols, so that `ctx.connect(Images)` passes a
strict type check in authors' code.)

Calls that change something take the `token` and return the provider's handle of the
job. They raise `NotSent` or `Refused`; any other exception leaves the effect in doubt.
Calls that read may raise anything; nothing is concluded from it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from pydantic import BaseModel

from earmark.domain.errors import Unsupported
from earmark.domain.inventory import Listing, ObservedVm
from earmark.domain.mark import MarkedThing
from earmark.domain.outcome import Found, Progress


def _unsupported(client: object, call: str) -> Unsupported:
    return Unsupported(f"This kind of provider has no {type(client).__name__}.{call}.")


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


class Credentials:
    """Tries the settings and secrets."""

    def verify(self) -> Verification:
        """Ask the endpoint who we are. Never raises for what it is meant to find."""
        raise _unsupported(self, "verify")


class InventorySource:
    """Lists what there is."""

    def list_all(self) -> Listing:
        """Everything that the provider shows us."""
        raise _unsupported(self, "list_all")


class Power:
    """Turns VMs on and off. Class `absolute`: the target state is what counts."""

    def power_on(self, vm: str, token: str) -> str:
        """Start; returns the job's handle."""
        raise _unsupported(self, "power_on")

    def power_off(self, vm: str, token: str) -> str:
        """Pull the plug; returns the job's handle."""
        raise _unsupported(self, "power_off")

    def shutdown(self, vm: str, token: str) -> str:
        """Ask the guest to shut down; that it was asked proves nothing."""
        raise _unsupported(self, "shutdown")

    def vms(self, ids: Sequence[str]) -> Mapping[str, ObservedVm]:
        """The VMs as they are now; those that do not exist are missing."""
        raise _unsupported(self, "vms")


class Images:
    """Copies disk images (class `token` or such) and deletes them (`absolute`: that
    they are gone is what counts)."""

    def copy(self, image: str, domain: str, *, token: str, alias: str = "") -> str:
        """Start a copy, named `alias` or as the provider likes; returns the job's
        handle."""
        raise _unsupported(self, "copy")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the new image's id)."""
        raise _unsupported(self, "jobs")

    def find(self, token: str) -> Sequence[Found]:
        """Every job or image that carries the token."""
        raise _unsupported(self, "find")

    def find_many(self, tokens: Sequence[str]) -> Mapping[str, Sequence[Found]]:
        """The same for many tokens; every one of them is in the answer."""
        return {token: self.find(token) for token in tokens}

    def cancel(self, job: str) -> None:
        """Ask for the job to stop; ended jobs are left alone."""
        raise _unsupported(self, "cancel")

    def delete(self, image: str, *, token: str) -> str:
        """Start a deletion; returns the job's handle, also when it is gone already."""
        raise _unsupported(self, "delete")

    def deletions(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the deletions stand (a done one's result is the id that is gone)."""
        raise _unsupported(self, "deletions")

    def find_deletion(self, image: str, token: str) -> Sequence[Found]:
        """The deletion under way, or that the image is gone."""
        raise _unsupported(self, "find_deletion")

    def exists(self, image: str) -> bool:
        """True when the provider has the image now, listed or not."""
        raise _unsupported(self, "exists")


class Templates:
    """Makes VM templates out of images."""

    def create(self, name: str, vm: str, images: Sequence[str], token: str) -> str:
        """Start making the template; returns the job's handle."""
        raise _unsupported(self, "create")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the template's id)."""
        raise _unsupported(self, "jobs")

    def find(self, token: str) -> Sequence[Found]:
        """Every job or template that carries the token."""
        raise _unsupported(self, "find")


class Tenants:
    """Makes tenants: who a provider's resources are shared out to."""

    def create(self, name: str, description: str, *, token: str) -> str:
        """Start making it; returns the job's handle."""
        raise _unsupported(self, "create")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the tenant's id)."""
        raise _unsupported(self, "jobs")

    def find(self, token: str) -> Sequence[Found]:
        """Every job or tenant that carries the token."""
        raise _unsupported(self, "find")


class Snapshots:
    """Takes snapshots of VMs."""

    def create(self, vm: str, name: str, *, token: str) -> str:
        """Start taking it; returns the job's handle."""
        raise _unsupported(self, "create")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the snapshot's id)."""
        raise _unsupported(self, "jobs")

    def find(self, token: str) -> Sequence[Found]:
        """Every job or snapshot that carries the token."""
        raise _unsupported(self, "find")


class Disks:
    """Switches a VM's disk to another image. Class `absolute`: what it is on counts."""

    def switch(self, vm: str, disk: str, image: str, *, token: str) -> str:
        """Start the switch; returns the job's handle, also when it is on it already."""
        raise _unsupported(self, "switch")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is an `ObservedDisk`)."""
        raise _unsupported(self, "jobs")

    def find(self, vm: str, disk: str, image: str, token: str) -> Sequence[Found]:
        """The switch under way, or that the disk is on the image."""
        raise _unsupported(self, "find")


class Machines:
    """Removes VMs whose images are gone. Class `absolute`: that it is gone counts."""

    def remove(self, vm: str, *, token: str) -> str:
        """Start the removal; returns the job's handle, also when it is gone already."""
        raise _unsupported(self, "remove")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand (a done one's result is the id that is gone)."""
        raise _unsupported(self, "jobs")

    def find(self, vm: str, token: str) -> Sequence[Found]:
        """The removal under way, or that the VM is gone."""
        raise _unsupported(self, "find")


class Marked:
    """Lists what carries the mark of any Earmark, and destroys one such thing. Class
    `absolute`: that it is gone counts."""

    #: Operation → kind of what it makes, of everything that `list_all` shows. What is
    #: not in it is never said to be missing.
    makes: Mapping[str, str] = MappingProxyType({})
    #: Kinds that `destroy` can take away.
    destroys: frozenset[str] = frozenset()

    def list_all(self) -> Sequence[MarkedThing]:
        """Everything there with a mark, and what a job is just making with one. Look at
        the jobs first: what ends in between is then seen at least once."""
        raise _unsupported(self, "list_all")

    def look(self, kind: str, id: str) -> MarkedThing | None:
        """One thing as it is now, listed or not, perhaps with `NO_MARK`; None when it
        is not there."""
        raise _unsupported(self, "look")

    def destroy(self, kind: str, id: str, *, token: str) -> str:
        """Start destroying it; returns the job's handle, also when it is gone."""
        raise _unsupported(self, "destroy")

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How destructions stand (a done one's result is the id that is gone)."""
        raise _unsupported(self, "jobs")

    def find(self, kind: str, id: str, token: str) -> Sequence[Found]:
        """The destruction under way, or that the thing is gone."""
        raise _unsupported(self, "find")


class ConsoleWire(Protocol):
    """Bytes to and from a VM's console, in RFB 3.8 right after the security handshake:
    the client's `ClientInit` comes next. Whatever opened it stays in the connector."""

    def read(self) -> bytes:
        """Wait for bytes; empty at the end. Raises `OSError` when it broke."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of it. Raises `OSError` when it broke."""
        ...

    def close(self) -> None:
        """End it, also for a thread that waits in `read`; may be called again."""
        ...


class Consoles:
    """Opens VMs' consoles. That changes nothing and may happen twice."""

    def open(self, vm: str) -> ConsoleWire:
        """Connect to the VM's console. Raises `Refused` when the provider says no,
        as for a VM that is off."""
        raise _unsupported(self, "open")
