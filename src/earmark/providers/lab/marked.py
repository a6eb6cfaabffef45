"""What carries an Earmark's mark in a lab: listed, looked at and destroyed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from earmark.domain.capabilities import Marked
from earmark.domain.errors import Refused
from earmark.domain.mark import NO_MARK, Mark, MarkedThing
from earmark.domain.outcome import Found, Progress
from earmark.providers.lab.calls import Calls, path
from earmark.providers.lab.jobs import MADE
from earmark.providers.lab.states import StateJobs


@dataclass(frozen=True)
class _Kind:
    """One kind of thing: its list, what people call it there, whether one can be asked
    about by its id, and the verb that deletes it, if the lab has one."""

    list: str
    name: str = "name"
    by_id: bool = False
    delete: str = ""


_KINDS: Mapping[str, _Kind] = {
    "image": _Kind("images", "alias", by_id=True, delete="image.delete"),
    "template": _Kind("templates", by_id=True, delete="template.delete"),
    "tenant": _Kind("tenants", by_id=True, delete="tenant.delete"),
    "snapshot": _Kind("snapshots", by_id=True, delete="snapshot.delete"),
}


class LabMarked(Marked):
    """Images, templates, tenants and snapshots; VMs are never made here."""

    makes: Mapping[str, str] = MappingProxyType(MADE)
    destroys = frozenset(name for name, kind in _KINDS.items() if kind.delete)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list_all(self) -> Sequence[MarkedThing]:
        """Everything with a mark, in five requests, the jobs first."""
        coming = list(self._under_way())
        there = [
            thing
            for kind in _KINDS
            for row in self._calls.listed(_KINDS[kind].list)
            if (thing := _marked(kind, row)).mark != NO_MARK
        ]
        ids = {thing.id for thing in there}
        return [*there, *(thing for thing in coming if thing.id not in ids)]

    def _under_way(self) -> Iterator[MarkedThing]:
        for task in self._calls.listed("tasks"):
            mark = Mark.of(task["mark"])
            if mark is None or task["state"] == "finished" or task["verb"] not in MADE:
                continue
            made_at = datetime.fromisoformat(task["created_at"])
            kind = MADE[task["verb"]]
            yield MarkedThing(kind, task["object"], "", mark, made_at, under_way=True)

    def look(self, kind: str, id: str) -> MarkedThing | None:
        """One thing, by its id where the lab can be asked so."""
        row = self._read(kind, id)
        return None if row is None else _marked(kind, row)

    def destroy(self, kind: str, id: str, *, token: str) -> str:
        """Start the deletion; what is gone already is no error."""
        where = path(_KINDS[kind].list, id)
        return self._jobs(kind).delete(where, token, kind, id)

    def jobs(self, handles: Sequence[str]) -> Mapping[str, Progress]:
        """How the deletions stand; none is missing."""
        return self._jobs("").stand(handles)

    def find(self, kind: str, id: str, token: str) -> Sequence[Found]:
        """The deletion, or that the thing is gone."""
        return self._jobs(kind).find(token, kind, id)

    def _jobs(self, kind: str) -> StateJobs:
        verb = _KINDS[kind].delete if kind else ""
        return StateJobs(self._calls, verb, self._gone)

    def _gone(self, kind: str, id: str) -> str | None:
        return id if self._read(kind, id) is None else None

    def _read(self, kind: str, id: str) -> Any:
        known = _KINDS[kind]
        if not known.by_id:
            rows = self._calls.listed(known.list)
            return next((row for row in rows if row["id"] == id), None)
        try:
            return self._calls.read(path(known.list, id))
        except Refused as refusal:
            if refusal.code != "not-found":
                raise
            return None


def _marked(kind: str, row: Any) -> MarkedThing:
    mark = Mark.of(row["mark"]) or NO_MARK
    made_at = datetime.fromisoformat(row["created_at"])
    return MarkedThing(kind, row["id"], row[_KINDS[kind].name], mark, made_at)
