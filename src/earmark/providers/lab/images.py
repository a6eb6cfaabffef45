"""Copying and deleting a lab's disk images."""

from collections.abc import Mapping, Sequence

from earmark.domain.capabilities import Images
from earmark.domain.errors import Refused
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.jobs import CreationJobs
from earmark.providers.lab.states import StateJobs


class LabImages(Images):
    """Copies and deletes images; a done copy's result is the new image's id, and a
    deletion's the one that is gone."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._jobs = CreationJobs(calls, "image.copy")
        self._deletions = StateJobs(calls, "image.delete", self._gone)

    def copy(self, image: str, domain: str, *, token: str, alias: str = "") -> str:
        """Start a copy; the same token with the same words is the same copy."""
        order = {"image": image, "domain": domain, "token": token}
        order["alias"] = alias or f"copy of {image}"
        return self._calls.create(path("images", "copy"), order)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the copies stand; those that the lab does not know are missing."""
        return self._jobs.stand(handles)

    def find(self, token: str) -> Sequence[Found]:
        """Every task or image that carries the token."""
        return self._jobs.find(token)

    def find_many(self, tokens: Sequence[str]) -> Mapping[str, Sequence[Found]]:
        """The same for many tokens, in two calls."""
        return self._jobs.find_many(tokens)

    def cancel(self, job: str) -> None:
        """Ask the task to stop. One that ended, or is not known, is left alone."""
        if self._jobs.ended(job):
            return
        try:
            self._calls.change(path("tasks", job, "stop"), {})
        except Refused as refusal:
            if refusal.code != "not-found":
                raise

    def delete(self, image: str, *, token: str) -> str:
        """Start the deletion; an image that is gone already is no error."""
        return self._deletions.delete(path("images", image), token, image)

    def deletions(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the deletions stand; none is missing."""
        return self._deletions.stand(handles)

    def find_deletion(self, image: str, token: str) -> Sequence[Found]:
        """The deletion, or that the image is gone."""
        return self._deletions.find(token, image)

    def exists(self, image: str) -> bool:
        """Asked about by its id, so that no list's lag hides it."""
        try:
            self._calls.read(path("images", image))
        except Refused as refusal:
            if refusal.code != "not-found":
                raise
            return False
        return True

    def _gone(self, image: str) -> str | None:
        return None if self.exists(image) else image
