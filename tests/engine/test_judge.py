"""The judgement of an effect in doubt, class by class (rules 1–4, invariant 4)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from earmark.domain.connector import EffectClass, Operation
from earmark.domain.outcome import Found
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.engine.judge import (
    MOST_SENDS,
    Adopt,
    Hold,
    Judgement,
    PlanAgain,
    SendAgain,
    Wait,
    judge,
)
from earmark.store.sends import Send

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENT = NOW - timedelta(seconds=30)
EFFECT = Placeholder(
    id="token-1", task_id="t", root_id="t", provider_id="p", operation="op",
    effect="token", state=PlaceholderState.IN_DOUBT, external_id=None, nonce="n",
    version=3, request=None, resend=False, first_sent_at=SENT, doubt_since=SENT,
    next_check_at=NOW, checks=0, errors=0, stoppable=False,
    undoable=False, cancel_asked_at=None,
    seen_before=None, decision=None, ended_well=None, result=None, undone_at=None,
    replaces_id=None, created_at=SENT, updated_at=SENT,
)  # fmt: skip
OURS = Found("job-1", mark="token-1")
STRANGER = Found("job-9", mark=None)
CLASSES = list(EffectClass)
REPEATABLE = [EffectClass.TOKEN, EffectClass.IDENTITY]
OTHERS = [c for c in CLASSES if c not in (*REPEATABLE, EffectClass.NONE)]


def sent(over_at: datetime | None = None, *, answered: bool = False) -> Send:
    return Send("n", "w", SENT, over_at, answered, None)


#: Its sender may still live: the worst that can be known of a send.
OPEN = (sent(),)


def look(
    op: Operation,
    found: Sequence[Found] = (),
    *,
    effect: Placeholder = EFFECT,
    sends: Sequence[Send] = OPEN,
    stopping: bool = False,
) -> Judgement:
    return judge(effect, op, sends, found, NOW, stopping=stopping)


def operation(effect: EffectClass, **more: object) -> Operation:
    values = {"max_in_flight": timedelta(seconds=60), "source": "this test"} | more
    return Operation("op", effect, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("effect", CLASSES)
def test_what_is_provably_ours_is_adopted(effect: EffectClass) -> None:
    assert look(operation(effect), [OURS]) == Adopt(OURS)


def test_two_of_ours_are_one_and_an_orphan() -> None:
    again = Found("job-2", mark="token-1")
    op = operation(EffectClass.TAG)
    assert look(op, [OURS, again]) == Adopt(OURS, (again,))


@pytest.mark.parametrize(
    "effect", [c for c in CLASSES if c is not EffectClass.ABSOLUTE]
)
def test_existence_is_not_proof(effect: EffectClass) -> None:
    assert isinstance(look(operation(effect), [STRANGER]), Hold)


def test_an_absolute_state_counts_whoever_brought_it_about() -> None:
    op = operation(EffectClass.ABSOLUTE)
    assert isinstance(look(op, [STRANGER]), Adopt)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_absent_is_sent_again_where_the_provider_deduplicates(
    effect: EffectClass,
) -> None:
    assert isinstance(look(operation(effect)), SendAgain)


def test_an_expired_token_is_not_sent_again() -> None:
    # A minute clear of its end, and half a minute of send and one on the way.
    op = operation(EffectClass.TOKEN, token_life=timedelta(minutes=4))
    long_ago = replace(EFFECT, first_sent_at=NOW - timedelta(seconds=91))
    assert isinstance(look(op), SendAgain)
    assert isinstance(look(op, effect=long_ago), Wait)


@pytest.mark.parametrize("effect", OTHERS)
def test_nothing_is_sent_again_while_the_sender_may_live(effect: EffectClass) -> None:
    assert isinstance(look(operation(effect)), Wait)


@pytest.mark.parametrize("effect", OTHERS)
def test_nor_while_a_request_may_still_land(effect: EffectClass) -> None:
    late = sent(NOW - timedelta(seconds=59))
    early = sent(NOW - timedelta(seconds=60))
    op = operation(effect)
    assert isinstance(look(op, sends=[early, late]), Wait)
    assert isinstance(look(op, sends=[early]), PlanAgain)
    assert isinstance(look(op, sends=[early, sent()]), Wait)
    assert isinstance(look(op, sends=[early, sent(NOW, answered=True)]), PlanAgain)


@pytest.mark.parametrize("found", [[], [STRANGER]])
def test_class_none_is_held_not_guessed(found: list[Found]) -> None:
    gone = sent(SENT)
    assert isinstance(look(operation(EffectClass.NONE), found, sends=[gone]), Hold)


@pytest.mark.parametrize("effect", CLASSES)
def test_what_was_accepted_and_forgotten_is_held(effect: EffectClass) -> None:
    lost = replace(EFFECT, external_id="job-1")
    gone = sent(SENT - timedelta(days=1))
    judgement = look(operation(effect), effect=lost, sends=[gone])
    assert isinstance(judgement, Hold)


@pytest.mark.parametrize("effect", [c for c in CLASSES if c is not EffectClass.TASKS])
def test_absence_counts_only_once_it_would_be_visible(effect: EffectClass) -> None:
    op = operation(effect, visibility_lag=timedelta(minutes=5))
    expected = Hold if effect is EffectClass.NONE else Wait
    assert isinstance(look(op), expected)


LONG_IN_DOUBT = replace(EFFECT, doubt_since=NOW - timedelta(hours=1))


@pytest.mark.parametrize("effect", OTHERS)
def test_doubt_does_not_last_for_ever(effect: EffectClass) -> None:
    assert isinstance(look(operation(effect), effect=LONG_IN_DOUBT), Hold)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_nor_is_it_sent_for_ever(effect: EffectClass) -> None:
    op = operation(effect)
    assert isinstance(look(op, effect=LONG_IN_DOUBT), SendAgain)
    many = [sent(SENT, answered=True)] * MOST_SENDS
    assert isinstance(look(op, effect=LONG_IN_DOUBT, sends=many), Hold)


@pytest.mark.parametrize("effect", [*REPEATABLE, *OTHERS])
def test_an_outage_costs_no_decision(effect: EffectClass) -> None:
    """However long nobody could be asked: the first good answer decides."""
    gone = [sent(NOW - timedelta(hours=1))]
    op = operation(effect)
    assert isinstance(look(op, [OURS], effect=LONG_IN_DOUBT, sends=gone), Adopt)
    again = look(op, effect=LONG_IN_DOUBT, sends=gone)
    assert isinstance(again, SendAgain | PlanAgain)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_a_stopped_task_is_not_sent_again(effect: EffectClass) -> None:
    assert isinstance(look(operation(effect), stopping=True), Wait)
