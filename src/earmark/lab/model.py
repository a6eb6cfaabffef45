"""The words that the lab's modules share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

DOMAINS = ("fast", "bulk")
"""The storage domains of every lab."""

JOB_VERBS = (
    "vm.start",
    "vm.stop",
    "vm.shutdown",
    "vm.delete",
    "disk.switch",
    "snapshot.create",
    "image.copy",
    "image.delete",
    "template.create",
    "template.delete",
    "tenant.create",
)
"""Verbs that are accepted as a task and land later."""

TASK_VERBS = ("task.stop", "task.revert", "task.clear")
"""Verbs that act on a task, at once."""

VERBS = JOB_VERBS + TASK_VERBS
"""Every verb that changes the site."""


class Refused(Exception):
    """The site refuses a request and nothing of it was done.

    ``status`` is the HTTP status, ``code`` a stable word for programs, ``message``
    a sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Command:
    """One request to change the site, as data, so that it can be stored.

    ``params`` hold what the path and the body name, without token and mark.
    ``mark`` is kept inside what is made, and means nothing to the site.
    """

    verb: str
    params: Mapping[str, Any]
    token: str | None
    mark: str | None = None


@dataclass(frozen=True)
class Shape:
    """How faults bend the handling of one request; the default bends nothing.

    ``lag_seconds`` hides from lists what was created so recently.
    """

    forget_task: bool = False
    ignore_token: bool = False
    fail_half_way: bool = False
    lag_seconds: float = 0.0


@dataclass(frozen=True)
class Reply:
    """An answer before it is turned into bytes."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


def error_reply(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return the one form in which the lab reports errors."""
    return Reply(status, {"code": code, "message": message}, headers or {})


def iso(seconds: float | None) -> str | None:
    """Return seconds since the epoch as ISO 8601 in UTC; None stays None."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
