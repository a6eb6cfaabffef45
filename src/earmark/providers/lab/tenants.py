"""Making tenants in a lab."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Tenants
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.jobs import CreationJobs


class LabTenants(Tenants):
    """Makes tenants; a done job's result is the tenant's id."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = CreationJobs(calls, "tenant.create")

    def create(self, name: str, description: str, *, token: str) -> str:
        """Start making it; the same token with the same words is the same tenant."""
        order = {"name": name, "description": description, "token": token}
        return self._calls.create(path("tenants"), order)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand; those that the lab does not know are missing."""
        return self._jobs.stand(handles)

    def find(self, token: str) -> Sequence[Found]:
        """Every task or tenant that carries the token."""
        return self._jobs.find(token)
