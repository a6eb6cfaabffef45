"""The lab through its connector: its clients, a fresh token, and a job's end."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol

from earmark.domain.outcome import Progress, Running
from earmark.providers.lab import CONNECTOR
from tests.peers.lab import LabProcess, eventually
from tests.providers.sites import Kind


class Jobs(Protocol):
    """A capability whose jobs can be asked about."""

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]: ...


def token() -> str:
    return str(uuid.uuid4())


def site_of(lab: LabProcess, **more: str) -> Kind:
    return Kind(
        connector=CONNECTOR,
        settings={"url": lab.url, **more},
        secrets={"password": lab.auth[1]},
        address="url",
        vm=lab.vm("web01")["id"],
    )


def end_of(client: Jobs, job: str) -> Progress:
    def ended() -> bool:
        return not isinstance(client.jobs([job]).get(job), Running | None)

    eventually(ended, "the end of the job")
    return client.jobs([job])[job]
