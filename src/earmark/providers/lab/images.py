"""Copying a lab's disk images."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Images
from earmark.domain.errors import Refused
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.jobs import CreationJobs


class LabImages(Images):
    """Copies images; a done copy's result is the new image's id."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = CreationJobs(calls, "image.copy")

    def copy(self, image: str, domain: str, *, token: str, alias: str = "") -> str:
        """Start a copy; the same token with the same words is the same copy."""
        order = {"image": image, "domain": domain, "token": token}
        order["alias"] = alias or f"copy of {image}"
        return self._calls.change(path("images", "copy"), order)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the copies stand; those that the lab does not know are missing."""
        return self._jobs.stand(handles)

    def find(self, token: str) -> Sequence[Found]:
        """Every task or image that carries the token."""
        return self._jobs.find(token)

    def cancel(self, job: str) -> None:
        """Ask the task to stop. One that ended, or is not known, is left alone."""
        if self._jobs.ended(job):
            return
        try:
            self._calls.change(path("tasks", job, "stop"), {})
        except Refused as refusal:
            if refusal.code != "not-found":
                raise
