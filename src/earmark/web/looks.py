"""How a word of the domain looks: always an icon, a word and a colour together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from earmark.domain.inventory import PowerState
from earmark.domain.orphan import OrphanState
from earmark.domain.states import Outcome, PlaceholderState, TaskState

Tone = Literal["ok", "busy", "wait", "bad", "idle", "undo"]


@dataclass(frozen=True)
class Look:
    """An icon of the sprite, the word beside it and the tone of both."""

    icon: str
    word: str
    tone: Tone


UNKNOWN = Look("circle-question-mark", "Unknown", "idle")

TASK_STATES: Mapping[str, Look] = {
    TaskState.QUEUED: Look("clock", "Queued", "idle"),
    TaskState.RUNNING: Look("activity", "Running", "busy"),
    TaskState.WAITING: Look("hourglass", "Waiting", "busy"),
    TaskState.HELD: Look("hand", "Held", "wait"),
    TaskState.CANCELLING: Look("ban", "Cancelling", "wait"),
    TaskState.UNDOING: Look("undo-2", "Undoing", "undo"),
}

OUTCOMES: Mapping[str, Look] = {
    Outcome.OK: Look("circle-check", "Done", "ok"),
    Outcome.WARNED: Look("triangle-alert", "Warned", "wait"),
    Outcome.FAILED: Look("circle-x", "Failed", "bad"),
    Outcome.CANCELLED: Look("ban", "Cancelled", "idle"),
    Outcome.EXPIRED: Look("timer-off", "Expired", "bad"),
    Outcome.INTERRUPTED: Look("unplug", "Interrupted", "bad"),
}

POWER_STATES: Mapping[str, Look] = {
    PowerState.ON: Look("power", "On", "ok"),
    PowerState.OFF: Look("power-off", "Off", "idle"),
    PowerState.SUSPENDED: Look("pause", "Suspended", "undo"),
    PowerState.STARTING: Look("activity", "Starting", "busy"),
    PowerState.STOPPING: Look("activity", "Stopping", "busy"),
    PowerState.UNKNOWN: UNKNOWN,
}

PLACEHOLDER_STATES: Mapping[str, Look] = {
    PlaceholderState.PLANNED: Look("clock", "Planned", "idle"),
    PlaceholderState.SENDING: Look("arrow-right", "Sending", "busy"),
    PlaceholderState.BOUND: Look("activity", "Bound", "busy"),
    PlaceholderState.IN_DOUBT: Look("circle-question-mark", "In doubt", "wait"),
    PlaceholderState.HELD: Look("hand", "Held", "wait"),
    PlaceholderState.SETTLED: Look("circle-check", "Settled", "ok"),
    PlaceholderState.REFUSED: Look("circle-x", "Refused", "bad"),
    PlaceholderState.DROPPED: Look("ban", "Dropped", "idle"),
    PlaceholderState.WATCHED: Look("search", "Watched", "wait"),
    PlaceholderState.ORPHAN: Look("unplug", "Orphan", "bad"),
    PlaceholderState.EXPLAINED: Look("info", "Explained", "idle"),
    PlaceholderState.ELSEWHERE: Look("info", "The original's", "idle"),
}

_NEXT_STEPS: Mapping[str, str] = {
    PlaceholderState.PLANNED: "Next: it is sent when its turn comes.",
    PlaceholderState.SENDING: "Next: the provider's answer.",
    PlaceholderState.BOUND: "Next: the provider is asked how it stands.",
    PlaceholderState.IN_DOUBT: "Next: the provider is asked what became of it.",
    PlaceholderState.HELD: "Next: a person decides. Until then nothing is sent.",
    PlaceholderState.WATCHED: "Next: every sweep of the provider looks for it.",
}

HEALTH = {
    "ok": Look("circle-check", "Healthy", "ok"),
    "failing": Look("circle-x", "Failing", "bad"),
    "unknown": Look("circle-question-mark", "Not checked", "idle"),
}

SWEEPS = {
    "ok": Look("circle-check", "Swept", "ok"),
    "error": Look("circle-x", "Failed", "bad"),
    "unsupported": Look("info", "Nothing to sweep", "idle"),
    "never": Look("circle-question-mark", "Not yet", "idle"),
}

ORPHAN_STATES = {
    OrphanState.OPEN: Look("unplug", "Open", "wait"),
    OrphanState.ADOPTED: Look("circle-check", "Adopted", "ok"),
    OrphanState.DESTROYED: Look("x", "Destroyed", "idle"),
    OrphanState.GONE: Look("circle-question-mark", "Not shown any more", "idle"),
}

WORKER_STATES = {
    "live": Look("circle-check", "Live", "ok"),
    "draining": Look("hourglass", "Draining", "wait"),
    "silent": Look("circle-question-mark", "Silent", "bad"),
    "gone": Look("unplug", "Gone", "idle"),
}

NOTICE_ICONS = {
    "ok": "circle-check",
    "bad": "circle-x",
    "wait": "triangle-alert",
    "busy": "info",
}


@dataclass(frozen=True)
class PowerVerb:
    """A power button: what it asks for, and in which states that can help."""

    verb: str
    word: str
    icon: str
    useful_in: frozenset[PowerState]


_ON, _OFF = PowerState.ON, PowerState.OFF
_SUSPENDED, _UNKNOWN = PowerState.SUSPENDED, PowerState.UNKNOWN

POWER_VERBS = (
    PowerVerb("start", "Power on", "power", frozenset({_OFF, _SUSPENDED, _UNKNOWN})),
    PowerVerb("shutdown", "Shut down", "moon", frozenset({_ON, _UNKNOWN})),
    PowerVerb("stop", "Power off", "power-off", frozenset({_ON, _SUSPENDED, _UNKNOWN})),
    PowerVerb("restart", "Restart", "rotate-cw", frozenset({_ON, _UNKNOWN})),
)


def task_look(state: str, outcome: str | None) -> Look:
    """Show the outcome once there is one, and the state until then."""
    if outcome is not None:
        return OUTCOMES.get(outcome, UNKNOWN)
    return TASK_STATES.get(state, UNKNOWN)


def next_step(state: str, undecided: bool) -> str:
    """Say what happens next with a promised effect; nothing once it has ended."""
    if state == PlaceholderState.HELD and not undecided:
        return "Next: the provider is asked once more, before the decision counts."
    return _NEXT_STEPS.get(state, "")


def state_choices() -> list[tuple[str, str]]:
    """List the states that a list of tasks can be narrowed to."""
    return [(state, look.word) for state, look in TASK_STATES.items()] + [
        (TaskState.DONE, "Ended")
    ]


def outcome_choices() -> list[tuple[str, str]]:
    """List the outcomes that a list of tasks can be narrowed to."""
    return [(outcome, look.word) for outcome, look in OUTCOMES.items()]
