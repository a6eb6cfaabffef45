"""Narrow: what people and programs say to find tasks in a long history, read once for
the page, REST and the command line."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from earmark.domain.errors import BadInput
from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import TaskFilter
from earmark.store import inventory
from earmark.store.database import Transaction
from earmark.store.words import words_of

E = TypeVar("E", bound=StrEnum)

#: By what a list of tasks is narrowed, as addresses and options say it.
FILTERS = (
    "q",
    "state",
    "outcome",
    "command",
    "object",
    "user",
    "zone",
    "since",
    "until",
    "needs",
)
KINDS = ("vm", "provider", "template", "orphan")


def filter_of(words: Mapping[str, str]) -> TaskFilter:
    """Read the words of a filter; raises `BadInput`, with the field that is wrong.

    An object may still be named rather than identified: see `named`.
    """
    said = {name: words.get(name, "").strip() for name in FILTERS}
    words_of(said["q"])
    kind, ref = _object(said["object"])
    since = _moment("since", said["since"])
    until = _moment("until", said["until"])
    if since and until and since[0] >= until[1]:
        raise BadInput(
            f"Nothing was asked for both since {said['since']} and until "
            f"{said['until']}.",
            hint="The later of the two belongs in “until”.",
            fields={"until": "is before “since”"},
        )
    return TaskFilter(
        states=_members(TaskState, "state", said["state"]),
        outcomes=_members(Outcome, "outcome", said["outcome"]),
        command=said["command"],
        object_kind=kind,
        object_id=ref,
        owner=said["user"],
        zone=said["zone"],
        created_from=since and since[0],
        created_before=until and until[1],
        text=said["q"],
        needs_person=_needs_me(said["needs"]),
        before=words.get("before", ""),
    )


def named(tx: Transaction, which: TaskFilter) -> TaskFilter:
    """The same filter with the id of its object; raises `UnknownName` for an object or
    a zone that does not exist, `BadInput` for a name that several have."""
    try:
        field = "zone"
        if which.zone:
            inventory.check_zone(tx, which.zone)
        if not which.object_kind:
            return which
        field = "object"
        found = inventory.resolve(tx, which.object_kind, which.object_id)
    except BadInput as error:
        error.fields = {field: "is unknown"}
        raise
    return replace(which, object_id=found)


def minute(moment: datetime) -> str:
    """A moment as a form's field has it, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}"


def _object(text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    kind, _, ref = text.partition(":")
    if kind not in KINDS or not ref:
        raise BadInput(
            f"{text[:80]!r} names no object.",
            hint="Write it as KIND:ID or KIND:NAME, such as vm:web01. "
            f"Kinds are {', '.join(KINDS)}.",
            fields={"object": "is not KIND:ID"},
        )
    return kind, ref


def _moment(field: str, text: str) -> tuple[datetime, datetime] | None:
    """The first instant that is meant, and the first one after it: a day, a minute or
    a second has a length. Without a zone it is UTC."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return _span(field, text, first, timedelta(days=1))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _no_moment(field, text) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    exact = "." in text or text.count(":") - (text[-6:-5] in "+-") > 1
    return _span(field, text, moment, timedelta(seconds=1 if exact else 60))


def _span(
    field: str, text: str, first: datetime, length: timedelta
) -> tuple[datetime, datetime]:
    try:
        return first.astimezone(UTC), (first + length).astimezone(UTC)
    except OverflowError:
        raise _no_moment(field, text) from None


def _no_moment(field: str, text: str) -> BadInput:
    return BadInput(
        f"{text[:40]!r} in “{field}” is no date or time.",
        hint="Write it as 2026-01-31, or with a time as 2026-01-31T14:05; that is UTC "
        "unless it ends in a zone such as +02:00.",
        fields={field: "is no date or time"},
    )


def _needs_me(word: str) -> bool:
    if word not in ("", "me"):
        raise BadInput(
            f"Nobody is called {word[:40]!r} here.",
            hint="Use needs=me.",
            fields={"needs": "is unknown"},
        )
    return bool(word)


def _members(kind: type[E], field: str, words: str) -> tuple[E, ...]:
    known = [member.value for member in kind]
    unknown = [word for word in words.split(",") if word and word not in known]
    if unknown:
        raise BadInput(
            f"There is no {field} {unknown[0][:40]!r}.",
            hint=f"There are: {', '.join(known)}.",
            fields={field: "is unknown"},
        )
    return tuple(kind(word) for word in words.split(",") if word)
