"""The protocol as a model, every reachable state of it (docs/explanation/model.md)."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.model.checker import Model, explore
from tests.model.plan import PLAN_PROTECTIONS, TwoInAPlan
from tests.model.protocol import Protocol
from tests.model.state import PROTECTIONS, Config

Record = Callable[[str, object], None]
#: A machine that has other things to do takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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


def explored(model: Model[Any], record_property: Record) -> None:
    began = time.process_time()
    result = explore(model)
    record_property("states", result.states)
    record_property("steps", result.steps)
    record_property("seconds", round(time.process_time() - began, 1))
    assert not result.violation, str(result)
    # A model of which half is out of reach would prove nothing.
    assert result.states > 10_000


@pytest.mark.parametrize("name", DAILY)
def test_every_state_keeps_the_invariants(name: str, record_property: Record) -> None:
    explored(Protocol(DAILY[name]), record_property)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEPER)
def test_deeper_too(name: str, record_property: Record) -> None:
    explored(Protocol(DEEPER[name]), record_property)


def test_a_plan_of_two_ends_as_one(record_property: Record) -> None:
    config = Config("tag", most_sends=1, crashes=0, forgets=False)
    explored(TwoInAPlan(config), record_property)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        Config("tag", most_sends=1, forgets=False, says_no=False),
        Config("token", most_sends=1, crashes=0, forgets=False),
        Config("none", most_sends=1, crashes=0, forgets=False),
    ],
    ids=["tag and a crash", "token", "none"],
)
def test_plans_of_other_classes_too(config: Config, record_property: Record) -> None:
    explored(TwoInAPlan(config), record_property)


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
    ("refusal, again", "token", "nothing ends while", {}),
    ("refusal, again", "identity", "nothing ends while", {}),
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


BROKEN_PLANS = {
    "waits": "nothing ends while a child is open",
    "drops": "nothing is sent after the first bad end",
    "verdict": "a parent ends well only with all its children",
}


@pytest.mark.parametrize("off", BROKEN_PLANS)
def test_without_it_a_plan_breaks(off: str) -> None:
    config = Config("tag", off=frozenset({off}), most_sends=1, crashes=0)
    result = explore(TwoInAPlan(config))
    assert BROKEN_PLANS[off] in result.violation, str(result)


def test_every_protection_is_switched_off_once() -> None:
    assert {off for off, *_ in BROKEN} == set(PROTECTIONS)
    assert set(BROKEN_PLANS) == set(PLAN_PROTECTIONS)


def test_a_counterexample_can_be_read() -> None:
    result = explore(Protocol(Config("tag", off=frozenset({"horizon"}))))
    told = str(result).splitlines()
    assert told[1].startswith("Violated: nothing is sent again")
    assert told[2].strip() == "1  claim"
    assert "task queued → running" in told[3]
