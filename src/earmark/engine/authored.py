"""Authored: the edge to code that is not ours. Whatever it raises is an ordinary error
of its own: it cannot pose as the store's word, nor end a thread of ours."""

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

from earmark.domain.command import ExternalJob
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    RegistrationRefused,
    Stale,
    Unavailable,
)
from earmark.engine.boundary import Killed

T = TypeVar("T")
#: Shorter ones would be found in ordinary words.
_SHORTEST_SECRET = 6
_MOST_OPENED = 1000
_opened: dict[str, None] = {}


class AuthorError(EarmarkError):
    """An author's code raised what only the engine, or nobody, should."""

    code = "author-error"


def look_here() -> None:
    """Let modules beside the author's shell be found, as `python -m` does."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def import_authored(name: str, what: str, hint: str) -> ModuleType:
    """Import an author's module, for its commands or pages (`what`); raises
    `RegistrationRefused`, whatever the module raised."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a module may raise anything while it is imported
        raise RegistrationRefused(
            f"The {what} of {name!r} cannot be imported: "
            f"{type(error).__name__}: {error}",
            hint=hint,
        ) from error


def overrides(command: type[object], method: str) -> bool:
    """Whether the author wrote a class method of their own in place of ours."""
    own = getattr(command, method).__func__
    return own is not getattr(ExternalJob, method).__func__


def in_tx(call: Callable[[], T]) -> T:
    """Run a method that takes `tx`. The database's own errors pass: they are retried
    (rule 13). A `Stale` or `Unavailable` of the author's would pass for the store's."""
    try:
        return in_ctx(call)
    except (Stale, Unavailable, CommitUnknown) as error:
        raise AuthorError(f"{type(error).__name__}: {error}") from error


def in_ctx(call: Callable[[], T]) -> T:
    """Run a method that takes `ctx`; `SystemExit` and its like become errors."""
    try:
        return call()
    except (Exception, Killed):
        raise
    except BaseException as error:
        raise AuthorError(f"{type(error).__name__}: {error}") from error


def never_show(secret: str) -> None:
    """A secret was opened in this process: from now on it stays out of all that is
    written down, whoever puts it into an error's text or a log line."""
    if len(secret) >= _SHORTEST_SECRET:
        _opened[secret] = None
        while len(_opened) > _MOST_OPENED:
            _opened.pop(next(iter(_opened)))


def storable(text: str) -> bool:
    """Whether both stores can keep the text as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def clean(text: object) -> str:
    """Text as it may be stored: no NUL and no lone surrogates, which not both stores
    can keep, and no secret that this process has opened."""
    plain = str(text).encode("utf-8", "replace").decode().replace("\x00", "")
    for secret in tuple(_opened):
        plain = plain.replace(secret, "•••")
    return plain
