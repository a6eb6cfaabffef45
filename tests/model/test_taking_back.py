"""The model of an undo: every reachable state of an effect and what takes it back."""

from typing import Any

import pytest

from tests.model.checker import explore
from tests.model.state import Config
from tests.model.taking_back import UNDO_PROTECTIONS, TakenBack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: A second send that overtakes the first is all it takes; of class `tag`, a person who
#: has it sent again.
SMALL: dict[str, Any] = {"says_no": False, "forgets": False, "cancel": False}
CLASSES = ["token", "identity", "tag", "absolute"]


@pytest.mark.parametrize("effect", CLASSES)
def test_what_is_taken_back_stays_gone(effect: str) -> None:
    result = explore(TakenBack(Config(effect, **SMALL)))
    assert not result.violation, str(result)
    assert result.states > 500


#: What is found when a protection is off: the class, and the invariant.
BROKEN = [
    ("lands first", "identity", "what was taken back is gone"),
    ("lands first", "tag", "what was taken back is gone"),
    # A person had it sent again when its token was forgotten.
    ("lands first", "token", "what was taken back is gone"),
    ("seen to be gone", "tag", "what was taken back is gone"),
    ("ended first", "tag", "nothing is taken back that has not ended"),
]


@pytest.mark.parametrize(("off", "effect", "violated"), BROKEN)
def test_without_it_an_undo_breaks(off: str, effect: str, violated: str) -> None:
    config = Config(effect, off=frozenset({off}), **SMALL)
    result = explore(TakenBack(config))
    assert violated in result.violation, str(result)
    assert result.trace, "it says how it came to that"


def test_a_token_that_is_remembered_needs_no_waiting() -> None:
    """Whoever knows the token makes nothing of it twice, though it is gone."""
    off = frozenset({"lands first"})
    config = Config("token", off=off, person=False, **SMALL)
    result = explore(TakenBack(config))
    assert not result.violation, str(result)


def test_every_protection_of_an_undo_is_switched_off_once() -> None:
    assert {off for off, *_ in BROKEN} == set(UNDO_PROTECTIONS)
