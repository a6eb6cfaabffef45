"""Locks of objects: who may work on what at the same time."""

from dataclasses import dataclass
from enum import StrEnum


class LockMode(StrEnum):
    """Any number of shared holders, or one exclusive holder."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True, order=True)
class Lock:
    """A claim on `(kind, name)`; owned by a root task, gone with its end (rule 11)."""

    kind: str
    name: str
    mode: LockMode = LockMode.EXCLUSIVE


def shared(kind: str, name: str) -> Lock:
    """A lock that others may share; it excludes exclusive holders."""
    return Lock(kind, name, LockMode.SHARED)


def exclusive(kind: str, name: str) -> Lock:
    """A lock that excludes every other holder."""
    return Lock(kind, name, LockMode.EXCLUSIVE)
