"""Proof that an author can run: `verify` lets everything go wrong for a command, in a
fake of its provider, and sees that it keeps its promise.

    from earmark.testing import Effect, World, verify

Nothing is loaded before it is used: pytest looks for its plugin here in every run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.testing.bench import Bench
    from earmark.testing.http_fake import Asked, HttpFake, Problem, Reply
    from earmark.testing.report import Finding, Mistake, Report, VerificationFailed
    from earmark.testing.serving import serve
    from earmark.testing.verification import verify
    from earmark.testing.world import Effect, World

__all__ = [
    "Asked",
    "Bench",
    "Effect",
    "Finding",
    "HttpFake",
    "Mistake",
    "Problem",
    "Reply",
    "Report",
    "VerificationFailed",
    "World",
    "serve",
    "verify",
]

_HOMES = {
    "Asked": "http_fake",
    "Bench": "bench",
    "Effect": "world",
    "HttpFake": "http_fake",
    "Problem": "http_fake",
    "Reply": "http_fake",
    "World": "world",
    "serve": "serving",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES.get(name, 'report')}")
    return getattr(home, name)
