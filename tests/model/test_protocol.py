"""The protocol as a model, every reachable state of it (docs/explanation/model.md)."""

import time
from collections.abc import Callable

import pytest

from tests.model.checker import explore
from tests.model.protocol import Protocol
from tests.model.state import PROTECTIONS, Config

Record = Callable[[str, object], None]

PUT_BACK = {"put_back": True, "person": False, "says_no": False, "forgets": False}
#: Every class, with what makes it hardest, small enough for every day.
DAILY = {
    "token": Config("token"),
    "identity": Config("identity"),
    "tag": Config("tag", lag=True),
    "absolute": Config("absolute", foreign=True),
    "tasks": Config("tasks", foreign=True),
    "none": Config("none"),
    "tag, put back": Config("tag", most_sends=3, **PUT_BACK),  # type: ignore[arg-type]
}
#: The same, deeper.
DEEPER = {
    "token that lags": Config("token", lag=True),
    "identity that lags": Config("identity", lag=True),
    "tag, three sends": Config("tag", most_sends=3),
    "tag, two crashes": Config("tag", lag=True, crashes=2),
    "tag, something alike": Config("tag", foreign=True),
    "absolute, three sends": Config("absolute", foreign=True, most_sends=3),
    "identity, put back": Config("identity", crashes=0, **PUT_BACK),  # type: ignore[arg-type]
}


def explored(config: Config, record_property: Record) -> None:
    began = time.process_time()
    result = explore(Protocol(config))
    record_property("states", result.states)
    record_property("steps", result.steps)
    record_property("seconds", round(time.process_time() - began, 1))
    assert not result.violation, str(result)
    # A model of which half is out of reach would prove nothing.
    assert result.states > 10_000


@pytest.mark.parametrize("name", DAILY)
def test_every_state_keeps_the_invariants(name: str, record_property: Record) -> None:
    explored(DAILY[name], record_property)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEPER)
def test_deeper_too(name: str, record_property: Record) -> None:
    explored(DEEPER[name], record_property)


#: What is found when a protection is off: the class, the invariant, what else is set.
BROKEN = [
    ("intent", "tag", "no byte before the intent", {}),
    ("nonce", "token", "nothing ends while", {}),
    ("attempt", "tag", "one attempt has the task", {}),
    ("version", "tag", "nothing is sent again", {}),
    ("horizon", "tag", "nothing is sent again", {}),
    ("late listing", "tag", "what is there is accounted for", {"lag": True}),
    ("absence", "tasks", "only what is ours", {"foreign": True}),
    ("mark", "tag", "only what is ours", {"foreign": True}),
    ("refusal", "token", "nothing ends while", {}),
    ("refusal", "identity", "nothing ends while", {}),
    ("token life", "token", "at most one effect", {"lag": True}),
    ("token margin", "token", "nothing is sent again", {}),
    ("reads first", "tag", "what is there is accounted for", {}),
    ("deadline", "token", "nothing is sent again", {}),
    ("deadline", "tag", "nothing ends while", PUT_BACK | {"most_sends": 3}),
    ("death", "tag", "nothing is sent again", {}),
    ("rule 12", "absolute", "nothing ends while", {"foreign": True}),
    ("rule 12, failed", "absolute", "nothing ends while", {"foreign": True}),
    ("rule 12, found", "absolute", "nothing ends while", {"foreign": True}),
    ("no lag in lists", "tasks", "only what is ours", {"lag": True}),
    ("stop", "tag", "nothing is sent after", {}),
    ("asked before sent", "tag", "nothing ends while", PUT_BACK),
    ("asked before dropped", "tag", "nothing ends while", PUT_BACK),
]


@pytest.mark.parametrize(
    ("off", "effect", "violated", "more"),
    BROKEN,
    ids=[f"{off}, {effect}" for off, effect, _, _ in BROKEN],
)
def test_without_it_something_breaks(
    off: str, effect: str, violated: str, more: dict[str, object]
) -> None:
    config = Config(effect, off=frozenset({off}), **more)  # type: ignore[arg-type]
    result = explore(Protocol(config))
    assert violated in result.violation, str(result)
    assert result.trace, "it says how it came to that"


def test_every_protection_is_switched_off_once() -> None:
    assert {off for off, *_ in BROKEN} == set(PROTECTIONS)
