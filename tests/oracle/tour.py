"""A tour of what chance comes to seldom: a few deeds each, by hand, on a fresh bench.
So a short run has seen everything, and a long one finds the rest."""

from collections.abc import Sequence
from typing import Any

from tests.oracle.commands import Part
from tests.oracle.deeds import Ask
from tests.oracle.machine import Oracle

Step = tuple[str, dict[str, Any]]
_POLL: Step = "poll", {"answers": True}
_AGAIN: Step = "resolve", {"task": "r1", "decision": "send-again", "which": ""}
_END: Step = "tidy", {"seconds": 120}


def _ask(kind: str, *parts: str, keyed: bool = False, lock: str = "") -> Step:
    inner = tuple(Part(kind=part) for part in parts)
    return "enqueue", {"ask": Ask(kind=kind, keyed=keyed, parts=inner, lock=lock)}


def _chain(kind: str, *parts: str) -> Step:
    """Each after the one before it."""
    inner = tuple(
        Part(kind=part, after=("abc"[place - 1],) if place else ())
        for place, part in enumerate(parts)
    )
    return "enqueue", {"ask": Ask(kind=kind, parts=inner)}


def _work(script: str = "accepts") -> Step:
    return "work", {"worker": "w-1", "scripts": [script]}


def _overtake(at: str, script: str, meanwhile: str) -> Step:
    told = {"at": at, "script": script, "meanwhile": meanwhile}
    return "overtake", {"worker": "w-1", **told}


def _kill(at: str, script: str = "accepts", *, late: bool = False) -> Step:
    return "kill", {"worker": "w-1", "at": at, "script": script, "late": late}


def _ends(job: str, how: str) -> Step:
    return "job_ends", {"job": job, "how": how}


def _goes_on(times: int) -> tuple[Step, ...]:
    return (("all_goes_on", {}),) * times


def _decide(task: str, decision: str) -> Step:
    return "resolve", {"task": task, "decision": decision, "which": ""}


_LATER: Step = "advance", {"seconds": 120}
#: Its one part is done, and is to be taken back: `r1/undo0` is queued then.
_TO_UNDO = (_ask("BrokenPlan", "Undone"), _work(), _work(), _ends("r1/a#0/0", "done"),
            _POLL, _work(), _work())  # fmt: skip
_REFUSED = (_work("refuses"), _LATER) * 3

UNDO: tuple[tuple[Step, ...], ...] = (
    # The last first, and one level after the other.
    (_chain("BrokenPlan", "Undone", "Undone", "Passing"), *_goes_on(9)),
    (_ask("BrokenPlan", "Undone", "Undone"), *_goes_on(6)),
    (_ask("Passing"), *_goes_on(2)),
    # What fails half-way, too; of a plan, and alone.
    (_chain("Plan", "Undone", "Undone"), *(_work(),) * 2, _ends("r1/a#0/0", "done"),
     _POLL, _work(), _ends("r1/b#0/0", "failed"), _POLL, *_goes_on(6)),
    (_ask("Undone"), _work(), _ends("r1#0/0", "failed"), _POLL, *_goes_on(3)),
    # Cancelled in between.
    (_chain("Plan", "Undone", "Tag"), *(_work(),) * 2, _ends("r1/a#0/0", "done"),
     _POLL, ("cancel", {"root": "r1"}), _work(), ("cancel", {"root": "r1"}),
     *_goes_on(3)),
    # What fails is tried again, then held, for a person to decide.
    (*_TO_UNDO, *_REFUSED, _decide("r1/undo0", "watch"),
     _decide("r1/undo0", "undo-again"), *_goes_on(3)),
    (*_TO_UNDO, *_REFUSED, _decide("r1/undo0", "leave-behind"), *_goes_on(1)),
    # While nobody is there it waits, and that is no try.
    (*_TO_UNDO, _decide("r1/undo0", "leave-behind"), _work("not sent"),
     _decide("r1/undo0", "undo-again"), _decide("r1/undo0", "leave-behind"),
     *_goes_on(1)),
    (*_TO_UNDO, *((_work("not sent"), _LATER) * 4), *_REFUSED[:4], _work("not sent"),
     _LATER, *_REFUSED[:2], _decide("r1/undo0", "undo-again"), *_goes_on(3)),
    (*_TO_UNDO[:-1], *((_work("unprepared"), _LATER) * 3), _decide("r1", "undo-again"),
     *_goes_on(3)),
    (*_TO_UNDO[:-1], *((_work("unprepared"), _LATER) * 3),
     _decide("r1", "leave-behind")),
    (*_TO_UNDO, _work(), _ends("r1/undo0#0/0", "vanished"), _POLL, _LATER, _POLL,
     _decide("r1/undo0", "watch"), *_goes_on(1)),
    # A request that was overtaken by another may still arrive.
    (_ask("BrokenPlan", "Named"), _work(), _work("lost, gone"), _POLL, _work(),
     _ends("r1/a#0/0", "done"), _POLL, _work(), _work(), _LATER, *_goes_on(3)),
    # Its locks come late.
    (("enqueue", {"ask": Ask(kind="BrokenPlan", parts=(
        Part(kind="Undone", lock="s:a"),))}), _ask("Tag", lock="s:a"),
     ("work", {"worker": "w-1", "scripts": ["accepts"] * 2}), _work(),
     _ends("r1/a#0/0", "done"), _POLL, *(_work(),) * 3, _LATER, *_goes_on(4)),
    # A worker is lost, or late.
    (*_TO_UNDO[:-1], _overtake("undo.started", "accepts", "silence, work"),
     *_goes_on(3)),
    (*_TO_UNDO[:-1], _overtake("undo.planned", "accepts", "nothing"), *_goes_on(3)),
    (*_TO_UNDO[:-1], _kill("undo.started"), *_goes_on(4)),
)  # fmt: skip

#: The rest of it.
ELSE: tuple[tuple[Step, ...], ...] = (
    (_ask("Token"), _overtake("send.answered", "accepts", "silence"), _POLL),
    (_ask("Token"), _overtake("landed", "accepts", "silence, work")),
    (_ask("Token"), _overtake("asked", "lost, gone", "silence"), _POLL),
    (_ask("Token"), _work("lost, gone"), _POLL, _work("refuses"), _POLL, _LATER, _POLL),
    (_ask("Token"), _overtake("bind.committed", "accepts", "nothing")),
    (_ask("Tag"), _overtake("plan.committed", "accepts", "cancel")),
    (_ask("Tag"), _overtake("plan.committed", "accepts", "silence, work")),
    (_ask("Look"), _overtake("act.answered", "accepts", "nothing")),
    (_ask("Soon"), ("tidy", {"seconds": 40})),
    (_ask("Quick"), _work(), _END, _POLL),
    (_ask("Token"), _work(), ("poll", {"answers": False})),
    (_ask("Token"), _work(), ("cancel_and_kill_poller", {"root": "r1"}), _POLL),
    (_ask("Token"), _work(), _ends("r1#0/0", "flaky"), _POLL),
    (_ask("Token"), _work(), _ends("r1#0/0", "forgotten"), _POLL, _POLL),
    (_ask("Token"), _kill("asked", late=True), ("arrives", {"effect": "r1#0"})),
    (_ask("Token"), ("hold_up", {"worker": "w-1", "at": "asked",
                                 "script": "accepts"}), _END),
    (_ask("Absolute"), ("answers_are_lost", {"worker": "w-1"})),
    (_ask("OrFail"), _kill("landed"), _POLL, _ends("r1#0/0", "done"), _POLL),
    (_ask("Blind"), _work("lost, landed"), _POLL, _AGAIN, _work(), _POLL),
    (_ask("Blind"), _work("lost, gone"), _POLL, ("cancel", {"root": "r1"}), _AGAIN),
    (_ask("Plan", "Blind", "Tag"), _work(), _work("lost, gone"), _POLL,
     ("resolve", {"task": "r1/a", "decision": "watch", "which": ""})),
    (_ask("Tag"), ("claim", {"worker": "w-1", "limit": 1}),
     ("lose", {"worker": "w-1", "proved": False}),
     ("perform", {"claim": "r1 1", "script": "accepts"})),
    (_ask("Tag", keyed=True), ("cancel", {"root": "r1"}), ("forget", {"root": "r1"}),
     ("enqueue_again", {"key": "k-0", "same": True}),
     ("advance", {"seconds": 90000}), _END),
    (_ask("Tag"), _overtake("prepare.done", "accepts", "silence, work")),
    (_ask("Tag"), _overtake("send.committed", "accepts", "nothing")),
    (_ask("Look"), _overtake("settle.committed", "accepts", "nothing")),
    (_ask("Plan"), _work(), _overtake("finish.started", "accepts", "nothing")),
    (_ask("Tag"), _work("lost, on its way"), _POLL, _END, _POLL),
    (_ask("Tag"), _work(), _ends("r1#0/0", "failed"), _POLL),
    (_ask("Tag"), _work(), _ends("r1#0/0", "vanished"), _POLL,
     ("advance", {"seconds": 6}), _POLL,
     ("resolve", {"task": "r1", "decision": "absent", "which": ""}), _POLL),
    (_ask("Blind"), _work("lost, landed"), _POLL,
     ("resolve", {"task": "r1", "decision": "adopt", "which": "its own"})),
    (_ask("Tag"), _work(), ("kill_poller", {"at": "poll.answered"})),
    (_ask("Tag"), _work("lost, gone"), ("kill_poller", {"at": "probe.answered"})),
    (_ask("Tag"), _work("refuses"), ("retry", {"root": "r1"}),
     ("cancel", {"root": "r2"}), _END, ("prune", {"age": 60, "dry_run": True}),
     ("prune", {"age": 60, "dry_run": False})),
    (_ask("Tag"), ("claim", {"worker": "w-1", "limit": 1}),
     ("lose", {"worker": "w-1", "proved": True})),
    *((_ask(kind), _work(script)) for kind, script in (
        ("Token", "refuses for now"), ("Newer", "not sent"), ("InTurn", "unprepared"))),
    (_ask("Special"), _work("throttled")),
)  # fmt: skip


TOUR = (*UNDO, *ELSE)


def tour(every: Sequence[tuple[Step, ...]] = TOUR) -> None:
    """All of these; raises at the first difference, with what was done until then."""
    for steps in every:
        bench = Oracle()
        try:
            for number, (name, arguments) in enumerate(steps):
                getattr(bench, name)(**arguments)
                done = steps[: number + 1]
                assert not bench.told(), "\n".join([*map(str, done), *bench.told()])
        finally:
            bench.teardown()
