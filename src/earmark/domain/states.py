"""The states of tasks and placeholders, and every move between them, as data.

The tables are the single source: the store's fences check them, the docs' diagrams
are drawn from them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class TaskState(StrEnum):
    """Where a task stands. `queued` tasks are the queue; `done` is final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    HELD = "held"
    CANCELLING = "cancelling"
    UNDOING = "undoing"
    DONE = "done"


class Outcome(StrEnum):
    """How a task ended."""

    OK = "ok"
    WARNED = "warned"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"

    @property
    def good(self) -> bool:
        """True when what was asked for is there."""
        return self in (Outcome.OK, Outcome.WARNED)


class PlaceholderState(StrEnum):
    """What is known of one promised effect at a provider."""

    PLANNED = "planned"
    SENDING = "sending"
    BOUND = "bound"
    IN_DOUBT = "in_doubt"
    HELD = "held"
    WATCHED = "watched"
    SETTLED = "settled"
    REFUSED = "refused"
    DROPPED = "dropped"
    ORPHAN = "orphan"
    EXPLAINED = "explained"
    ELSEWHERE = "elsewhere"


class Step(StrEnum):
    """Which part of its command a queued task waits to have run."""

    RUN = "run"
    FINISH = "finish"
    UNDO = "undo"


S = TypeVar("S", bound=StrEnum)
Table = Mapping[S, Mapping[S, str]]

#: A person said that this database is a copy, used beside the original.
_COPIED = "copied database"

_T = TaskState
TASK_MOVES: Table[TaskState] = {
    _T.QUEUED: {
        _T.RUNNING: "claim",
        _T.WAITING: "found before it was sent again",
        _T.CANCELLING: "cancel: an earlier send is in doubt",
        _T.DONE: "drop",
    },
    _T.RUNNING: {
        _T.WAITING: "plan, bind, doubt or queue for locks",
        _T.QUEUED: "recover, retry or undo",
        _T.HELD: "hold",
        _T.DONE: "settle",
        _T.CANCELLING: "cancel",
        _T.UNDOING: "plan the undo",
    },
    _T.WAITING: {
        _T.QUEUED: "wake, retry or undo",
        _T.HELD: "hold",
        _T.DONE: "settle",
        _T.CANCELLING: "cancel",
    },
    _T.HELD: {
        _T.QUEUED: "resolve: send again or undo",
        _T.WAITING: "resolve: adopt",
        _T.CANCELLING: "resolve: adopt, cancelled",
        _T.DONE: "resolve: settle or watch",
    },
    _T.CANCELLING: {
        _T.QUEUED: "wake or undo",
        _T.DONE: "settle",
        _T.HELD: "hold",
    },
    _T.UNDOING: {_T.QUEUED: "wake", _T.DONE: _COPIED},
    _T.DONE: {},
}

_P = PlaceholderState
PLACEHOLDER_MOVES: Table[PlaceholderState] = {
    _P.PLANNED: {
        _P.SENDING: "send",
        _P.DROPPED: "drop",
        _P.IN_DOUBT: "restored store, or not sent again after all",
        _P.ELSEWHERE: _COPIED,
    },
    _P.SENDING: {
        _P.BOUND: "bind",
        _P.PLANNED: "not sent",
        _P.REFUSED: "refuse",
        _P.IN_DOUBT: "doubt",
        _P.ELSEWHERE: _COPIED,
    },
    _P.IN_DOUBT: {
        _P.BOUND: "adopt",
        _P.SETTLED: "probe saw the end",
        _P.SENDING: "send again, same token",
        _P.PLANNED: "absent, nothing can land",
        _P.DROPPED: "absent, cancelled",
        _P.REFUSED: "refused, absent, nothing can land",
        _P.HELD: "hold",
        _P.ELSEWHERE: _COPIED,
    },
    _P.BOUND: {_P.SETTLED: "settle", _P.IN_DOUBT: "lost", _P.ELSEWHERE: _COPIED},
    _P.HELD: {
        _P.BOUND: "resolve: adopt",
        _P.SETTLED: "resolve: absent",
        _P.PLANNED: "resolve: send again",
        _P.WATCHED: "resolve: watch",
        _P.ELSEWHERE: _COPIED,
    },
    _P.WATCHED: {
        _P.ORPHAN: "sweep",
        _P.EXPLAINED: "sweep",
        _P.ELSEWHERE: _COPIED,
    },
    _P.SETTLED: {},
    _P.REFUSED: {},
    _P.DROPPED: {},
    _P.ORPHAN: {},
    _P.EXPLAINED: {},
    _P.ELSEWHERE: {},
}

#: A placeholder in one of these may stand for something that exists at the provider
#: and that nobody has accounted for yet: its task cannot end (invariant 3).
OPEN_AT_PROVIDER = frozenset({_P.SENDING, _P.BOUND, _P.IN_DOUBT, _P.HELD})


def check(table: Table[S], old: S, new: S) -> None:
    """Raise `ValueError` unless the table allows the move; a bug, never bad input."""
    if new not in table[old]:
        raise ValueError(f"{type(old).__name__}: no move from {old} to {new}")


def sources(table: Table[S], new: S) -> tuple[S, ...]:
    """Every state from which `new` may be reached."""
    return tuple(old for old, moves in table.items() if new in moves)


def is_final(table: Table[S], state: S) -> bool:
    """True when nothing leads out of the state (invariant 9)."""
    return not table[state]
