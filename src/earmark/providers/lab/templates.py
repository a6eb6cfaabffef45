"""Making templates in a lab."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Templates
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.jobs import CreationJobs


class LabTemplates(Templates):
    """Makes templates; a done job's result is the template's id."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = CreationJobs(calls, "template.create")

    def create(self, name: str, vm: str, images: Sequence[str], token: str) -> str:
        """Start making it; the same token with the same words is the same template."""
        order = {"name": name, "vm": vm, "images": list(images), "token": token}
        return self._calls.create(path("templates"), order)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand; those that the lab does not know are missing."""
        return self._jobs.stand(handles)

    def find(self, token: str) -> Sequence[Found]:
        """Every task or template that carries the token."""
        return self._jobs.find(token)
