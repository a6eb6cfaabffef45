"""The words of a job: what it plans, how it lands, and what a verb is."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from earmark.lab.model import Command, Json
from earmark.lab.site import Site


class LandingFailed(Exception):
    """A job that was accepted cannot be done any more; its task ends as failed."""


@dataclass(frozen=True)
class Plan:
    """What an accepted request is going to do.

    ``object`` is the id of what is changed or made. ``details`` are kept for the
    landing. With ``already`` set there is nothing to do: the task is finished on
    acceptance with that message, and no effect is counted.
    """

    object: str
    seconds: float = 0.0
    details: Json = field(default_factory=dict)
    already: str | None = None


@dataclass(frozen=True)
class Landing:
    """How a job ended well; ``done`` is False when nothing had to be changed."""

    message: str
    done: bool = True
    data: Json | None = None


@dataclass(frozen=True)
class Job:
    """One verb.

    ``check`` raises Refused; ``land`` raises LandingFailed. A ``deduplicated`` verb
    answers a token that it knows with the task of the first request. ``half`` is what a
    job that fails half-way leaves there, if it leaves anything.
    """

    check: Callable[[Site, Command], Plan]
    land: Callable[[Site, sqlite3.Row], Landing]
    deduplicated: bool = False
    half: Callable[[Site, sqlite3.Row], None] | None = None
