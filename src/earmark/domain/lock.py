"""Locks of objects: who may work on what at the same time."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from earmark.domain.errors import BadInput

_LONGEST_KIND, _LONGEST_NAME = 32, 200


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


def checked(whose: str, wanted: Iterable[object]) -> list[Lock]:
    """What a command's `locks` returned; raises `BadInput` for what no store can keep
    as a lock, before anything is taken."""
    sound = []
    for lock in wanted:
        if not isinstance(lock, Lock):
            raise BadInput(f"{whose}.locks returned {lock!r}, which is no lock.")
        named = _is_text(lock.kind, _LONGEST_KIND) and _is_text(
            lock.name, _LONGEST_NAME
        )
        if not named or not isinstance(lock.mode, LockMode):
            raise BadInput(
                f"{whose}.locks returned {lock!r}: a lock has a mode, a kind of at "
                f"most {_LONGEST_KIND} characters, and a name of {_LONGEST_NAME}.",
                hint="Let `locks` return shared(kind, name) or exclusive(kind, name).",
            )
        sound.append(lock)
    return sound


def _is_text(value: object, longest: int) -> bool:
    """True for text that both stores can keep: no NUL, no lone surrogates."""
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return False
    return "\x00" not in value and value == value.encode("utf-8", "replace").decode()
