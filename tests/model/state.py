"""The state of the model: one promised effect, its sends, those who work on it, and
what the provider has made of it."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from earmark.domain.states import PLACEHOLDER_MOVES

#: Every protection that can be switched off, to see what it is good for.
PROTECTIONS = {
    "intent": "the intent is committed before the bytes leave",
    "nonce": "a sender's own write is fenced by its nonce",
    "attempt": "a worker whose task was taken from it may not commit an intent",
    "version": "what was judged of an older version is not written",
    "horizon": "what may still be in flight counts as not landed",
    "late listing": "the provider's lag counts from the last instant of landing",
    "absence": "what was there before the first send is recorded, and not adopted",
    "mark": "only what carries our mark is adopted",
    "refusal": "a refusal ends an effect only if nothing was sent before",
    "refusal, again": "and of a resend only once nothing sent before can land",
    "token life": "the same token is sent again only while the provider knows it",
    "token margin": "a token's margin covers the way of its last request",
    "reads first": "what is known of the sends is read before the provider is asked",
    "deadline": "a sender checks its deadline right before the bytes",
    "death": "a sender is gone when that is proved, not when it is silent",
    "rule 12": "an absolute effect does not end well while a request may land",
    "rule 12, failed": "nor badly",
    "rule 12, found": "nor when a look sees the end",
    "no lag in lists": "class tasks has no lag: what is noted as absent was not there",
    "stop": "what was asked to stop is not sent",
    "asked before sent": "put back, the store asks about what looks unsent first",
    "asked before dropped": "put back, it does not drop that unasked either",
}

#: Final for the effect: nothing leads out of it here (the sweep is not modelled).
FINAL = frozenset({"settled", "refused", "dropped", "watched"})
#: The moves that `domain/states.py` allows, as plain text, which is quicker.
ALLOWED = {
    str(old): frozenset(str(new) for new in moves)
    for old, moves in PLACEHOLDER_MOVES.items()
}


class Send(NamedTuple):
    """One send: its row in the store, and its request on the way.

    `calm`: what has passed since the sender is gone or its call over: 1 the horizon,
    2 the provider's lag as well. `wire`: "none" before the bytes, then "flying", then
    an answer on its way back ("landed", "refused", "busy"), then "gone".
    """

    row: bool = True
    over: bool = False
    answered: bool = False
    refused: bool = False
    calm: int = 0
    wire: str = "none"


class Worker(NamedTuple):
    """A thread of a worker, and what it remembers.

    `phase`: idle, claimed, noted, intended, overdue (its deadline has passed), checked,
    waiting, dead, gone (its death is proved). `mine`: it still has the task, by the
    fence of state and attempt. `send`: which of the sends is its own. `doubted`: there
    was doubt when it took the intent.
    """

    phase: str = "idle"
    mine: bool = False
    send: int = -1
    doubted: bool = False


IDLE = Worker()
VOID = Send(row=False, wire="gone")


class State(NamedTuple):
    """Everything: first what the store knows, then what is really so.

    `end`: how it settled: ok, failed, absent (a person's word). `handle`: whose thing
    the external id names. `noted`: what the record of before the first send says.
    `heard`: a late answer named a handle. `look`: what a prober in the middle of a
    look will conclude. `made`, `listed`: how many things our requests have made, and
    how many of those the provider shows. `again`, `adopted`: what a person took on
    themselves. `copy`: an older copy of what the store knows.
    """

    effect: str = "planned"
    task: str = "queued"
    end: str = ""
    resend: bool = False
    sent_before: bool = False
    doubted: bool = False
    handle: str = ""
    noted: str = ""
    stop: bool = False
    decision: bool = False
    heard: bool = False
    nonce: int = -1
    restored: bool = False
    asked: bool = False
    sends: tuple[Send, ...] = ()
    workers: tuple[Worker, ...] = (IDLE, IDLE)
    look: str = ""
    made: int = 0
    listed: int = 0
    foreign: str = ""
    token: str = "fresh"
    again: bool = False
    adopted: bool = False
    crashes: int = 0
    copy: "State | None" = None


@dataclass(frozen=True)
class Config:
    """What is explored: the class of the operation, how much may happen, and which
    protections are switched off."""

    effect: str
    off: frozenset[str] = frozenset()
    most_sends: int = 2
    crashes: int = 1
    #: The provider's lists lag behind.
    lag: bool = False
    #: Something alike, of somebody else, may be there from the start.
    foreign: bool = False
    #: The provider may say no, or that it is busy.
    says_no: bool = True
    #: The provider may forget a job that it has accepted.
    forgets: bool = True
    person: bool = True
    cancel: bool = True
    #: The store may be put back, once, from an older copy of itself.
    put_back: bool = False

    def on(self, protection: str) -> bool:
        """True while this protection is in force."""
        return protection not in self.off

    @property
    def repeatable(self) -> bool:
        """True when the provider deduplicates."""
        return self.effect in ("token", "identity")


def put(sends: tuple[Send, ...], at: int, **values: object) -> tuple[Send, ...]:
    """The sends with one of them changed."""
    return (*sends[:at], sends[at]._replace(**values), *sends[at + 1 :])  # type: ignore[arg-type]


def swap(
    workers: tuple[Worker, ...], at: int, worker: Worker = IDLE
) -> tuple[Worker, ...]:
    """The workers with one of them replaced."""
    return (*workers[:at], worker, *workers[at + 1 :])


def taken(workers: tuple[Worker, ...], config: Config) -> tuple[Worker, ...]:
    """The workers when the task is nobody's any more. Who had only claimed it will
    find that at its next write, and so does nothing more."""
    return tuple(_without(worker, config) for worker in workers)


def _without(worker: Worker, config: Config) -> Worker:
    if not worker.mine:
        return worker
    if worker.phase == "gone":
        return IDLE
    if worker.phase in ("claimed", "noted") and config.on("attempt"):
        return IDLE
    return worker._replace(mine=False)


_ENDED = {
    "resend": False, "sent_before": True, "doubted": False, "noted": "",
    "stop": True, "decision": False, "heard": False, "nonce": -1, "look": "",
}  # fmt: skip


def tidy(state: State) -> State:
    """The same state without what can make no difference any more; workers have no
    names, so their order says nothing."""
    if state.task == "done" and state.copy is None:
        # Only what may still come, and what was made, counts from here on.
        state = state._replace(**_ENDED, sends=_ended(state.sends))  # type: ignore[arg-type]
    sends, workers = _tidied(state.sends, state.workers)
    if sends is state.sends and workers is state.workers:
        return state
    return state._replace(sends=sends, workers=workers)


@functools.cache
def _ended(sends: tuple[Send, ...]) -> tuple[Send, ...]:
    return tuple(
        VOID if send.wire == "gone" else Send(row=send.row, wire=send.wire)
        for send in sends
    )


@functools.cache
def _tidied(
    sends: tuple[Send, ...], workers: tuple[Worker, ...]
) -> tuple[tuple[Send, ...], tuple[Worker, ...]]:
    hears = {w.send for w in workers if w.phase == "waiting"}
    may_send = {
        w.send for w in workers if w.phase in ("intended", "overdue", "checked")
    }
    tidied = tuple(
        _tidy(send, at in hears, at in may_send) for at, send in enumerate(sends)
    )
    in_order = tuple(sorted(workers))
    return (
        sends if tidied == sends else tidied,
        workers if in_order == workers else in_order,
    )


def _tidy(send: Send, heard: bool, may_leave: bool) -> Send:
    wire = send.wire
    if (wire in ("landed", "refused", "busy") and not heard) or (
        wire == "none" and not may_leave
    ):
        send = send._replace(wire="gone")
    if send.wire == "gone" and not send.row:
        return VOID
    return send._replace(calm=0) if send.answered and send.calm else send
