"""The lab's tasks as jobs, for all that makes something new.

A handle is a task's id. When the lab has forgotten the task but shows what it made,
the handle is `image:ID`, `snapshot:ID` and so on, and the job ended with that; badly
if only half of it is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from earmark.domain.outcome import Done, Failed, Found, Progress, Running
from earmark.providers.lab.calls import Calls

#: Verb → what it makes.
MADE = {
    "image.copy": "image",
    "snapshot.create": "snapshot",
    "template.create": "template",
    "tenant.create": "tenant",
}


class CreationJobs:
    """Jobs of one verb, which make things that one of the lab's lists shows."""

    def __init__(self, calls: Calls, verb: str) -> None:
        self._calls = calls
        self._verb = verb
        self._kind = MADE[verb]

    def stand(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the jobs stand; those that the lab does not know are missing."""
        made = [handle for handle in handles if self._made(handle)]
        ids = [handle for handle in handles if not self._made(handle)]
        stands: dict[str, Progress] = {
            task["id"]: progress(task) for task in self._calls.tasks(ids)
        }
        if made:
            there = {self._handle(thing): _ended(thing) for thing in self._things()}
            stands |= {job: there[job] for job in made if job in there}
        return stands

    def find(self, token: str) -> list[Found]:
        """Every task with the token, and what was made with it otherwise.

        A thing whose task is listed is not named a second time. Tasks are read
        before things: one that ends in between is seen at least once.
        """
        return self._carriers([token], {"token": token})[token]

    def find_many(self, tokens: Sequence[str]) -> dict[str, list[Found]]:
        """The same for many tokens, in two calls."""
        return self._carriers(tokens)

    def _carriers(
        self, tokens: Sequence[str], query: Mapping[str, str] | None = None
    ) -> dict[str, list[Found]]:
        found: dict[str, list[Found]] = {token: [] for token in tokens}
        by_task = set()
        for task in self._calls.listed("tasks", query):
            if task["verb"] == self._verb and task["token"] in found:
                found[task["token"]].append(_found_task(task, task["token"]))
                by_task.add(task["object"])
        # A whole one before a half one, which is adopted only where it is all there is.
        for thing in sorted(self._things(), key=_is_half):
            if thing["token"] in found and thing["id"] not in by_task:
                there = Found(self._handle(thing), thing["token"], _ended(thing))
                found[thing["token"]].append(there)
        return found

    def ended(self, handle: str) -> bool:
        """True when the handle itself says that the job is done."""
        return self._made(handle)

    def _things(self) -> list[Any]:
        return self._calls.listed(f"{self._kind}s")

    def _made(self, handle: str) -> bool:
        return handle.startswith(f"{self._kind}:")

    def _handle(self, thing: Any) -> str:
        return f"{self._kind}:{thing['id']}"


def _is_half(thing: Any) -> bool:
    """True for what a copy that broke off has left: nothing can use it."""
    return bool(thing.get("legality") == "illegal")


def _ended(thing: Any) -> Done[str] | Failed:
    """How the job ended that made a thing, as far as the thing itself can show it."""
    if _is_half(thing):
        return Failed("Only half of it is there.", code="task-failed")
    return Done(thing["id"])


def progress(task: Any) -> Progress:
    """How a task stands; one that is being aborted still goes on."""
    if task["state"] != "finished":
        return Running(percent=task["progress"], message=task["message"])
    if task["result"] == "ok":
        return Done(task["object"], message=task["message"])
    return Failed(task["message"], code=f"task-{task['result']}")


def _found_task(task: Any, token: str) -> Found:
    stands = progress(task)
    return Found(
        task["id"],
        token,
        None if isinstance(stands, Running) else stands,
        {"state": task["state"], "created_at": task["created_at"]},
    )
