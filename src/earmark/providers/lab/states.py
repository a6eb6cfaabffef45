"""Jobs that bring a state about in a lab, such as a deletion: the state is what counts.

A handle is what the job is about and then the lab's task, parted by slashes; the task
is missing when the lab had nothing left to do. One request tells how many tasks stand.
The state itself is looked at once the task has ended, or is not known any more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from earmark.domain.errors import Refused
from earmark.domain.outcome import Done, Failed, Found, Progress, Running
from earmark.providers.lab.calls import Calls
from earmark.providers.lab.jobs import progress

_FORGOTTEN = "The lab shows no job; the state is not reached yet"
#: From what a job is about to its result, or None while the state is another.
Reached = Callable[..., Any]


class StateJobs:
    """Jobs of one verb."""

    def __init__(self, calls: Calls, verb: str, reached: Reached) -> None:
        self._calls = calls
        self._verb = verb
        self._reached = reached

    def delete(self, where: str, token: str, *about: str) -> str:
        """Ask once for a deletion; what is not there any more is as good as going."""
        try:
            return self.handle(self._calls.delete(where, token), *about)
        except Refused as refusal:
            if refusal.code != "not-found":
                raise
            return self.handle("", *about)

    @staticmethod
    def handle(task: str, *about: str) -> str:
        """The handle of a job."""
        return "/".join(quote(part, safe="") for part in (*about, task))

    def stand(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand. None is missing: of what the lab has forgotten, the
        state can still be seen."""
        parted = {
            handle: [unquote(part) for part in handle.split("/")] for handle in handles
        }
        asked = [task for *_, task in parted.values() if task]
        tasks = {task["id"]: task for task in self._calls.tasks(asked)}
        return {
            handle: self._stands(tasks.get(task), about)
            for handle, (*about, task) in parted.items()
        }

    def find(self, token: str, *about: str) -> list[Found]:
        """The job with the token, or the state when it is reached: one or none."""
        tasks = [
            task
            for task in self._calls.listed("tasks", {"token": token})
            if task["verb"] == self._verb and task["token"] == token
        ]
        under_way = [task for task in tasks if task["state"] != "finished"]
        newest = (under_way or tasks)[-1:]
        if newest:
            return [Found(self.handle(newest[0]["id"], *about), token)]
        if self._reached(*about) is not None:
            return [Found(self.handle("", *about))]
        return []

    def _stands(self, task: Any, about: Sequence[str]) -> Progress:
        said = Running(message=_FORGOTTEN) if task is None else progress(task)
        if task is not None and isinstance(said, Running):
            return said
        result = self._reached(*about)
        if result is not None:
            return Done(result, message="" if task is None else said.message)
        if isinstance(said, Done):
            return Failed("It was done, and is not so any more.", code="diverged")
        return said
