"""The judgement of an effect in doubt, class by class (rules 1–4, invariant 4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from earmark.domain.connector import EffectClass, Operation
from earmark.domain.outcome import Found
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.engine.probe import Adopt, Hold, PlanAgain, SendAgain, Wait, judge

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENT = NOW - timedelta(seconds=30)
EFFECT = Placeholder(
    id="token-1", task_id="t", root_id="t", provider_id="p", operation="op",
    effect="token", state=PlaceholderState.IN_DOUBT, external_id=None, nonce="n",
    version=3, request=None, resend=False, sender_id="w", first_sent_at=SENT,
    last_sent_at=SENT, sender_gone_at=None, doubt_since=SENT, next_check_at=NOW,
    checks=0, result=None, replaces_id=None, created_at=SENT, updated_at=SENT,
)  # fmt: skip
OURS = Found("job-1", mark="token-1")
STRANGER = Found("job-9", mark=None)
CLASSES = list(EffectClass)
REPEATABLE = [EffectClass.TOKEN, EffectClass.IDENTITY]
OTHERS = [c for c in CLASSES if c not in (*REPEATABLE, EffectClass.NONE)]


def operation(effect: EffectClass, **more: object) -> Operation:
    values = {"max_in_flight": timedelta(seconds=60), "source": "this test"} | more
    return Operation("op", effect, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("effect", CLASSES)
def test_what_is_provably_ours_is_adopted(effect: EffectClass) -> None:
    assert judge(EFFECT, operation(effect), [OURS], NOW) == Adopt(OURS)


def test_two_of_ours_are_one_and_an_orphan() -> None:
    again = Found("job-2", mark="token-1")
    op = operation(EffectClass.TAG)
    assert judge(EFFECT, op, [OURS, again], NOW) == Adopt(OURS, (again,))


@pytest.mark.parametrize(
    "effect", [c for c in CLASSES if c is not EffectClass.ABSOLUTE]
)
def test_existence_is_not_proof(effect: EffectClass) -> None:
    assert isinstance(judge(EFFECT, operation(effect), [STRANGER], NOW), Hold)


def test_an_absolute_state_counts_whoever_brought_it_about() -> None:
    op = operation(EffectClass.ABSOLUTE)
    assert isinstance(judge(EFFECT, op, [STRANGER], NOW), Adopt)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_absent_is_sent_again_where_the_provider_deduplicates(
    effect: EffectClass,
) -> None:
    assert isinstance(judge(EFFECT, operation(effect), [], NOW), SendAgain)


def test_an_expired_token_is_not_sent_again() -> None:
    op = operation(EffectClass.TOKEN, token_life=timedelta(seconds=60))
    assert isinstance(judge(EFFECT, op, [], NOW), Wait)


@pytest.mark.parametrize("effect", OTHERS)
def test_nothing_is_sent_again_while_the_sender_may_live(effect: EffectClass) -> None:
    assert isinstance(judge(EFFECT, operation(effect), [], NOW), Wait)


@pytest.mark.parametrize("effect", OTHERS)
def test_nor_while_a_request_may_still_land(effect: EffectClass) -> None:
    effect_ = replace(EFFECT, sender_gone_at=NOW - timedelta(seconds=59))
    assert isinstance(judge(effect_, operation(effect), [], NOW), Wait)
    landed = replace(EFFECT, sender_gone_at=NOW - timedelta(seconds=60))
    assert isinstance(judge(landed, operation(effect), [], NOW), PlanAgain)


@pytest.mark.parametrize("found", [[], [STRANGER]])
def test_class_none_is_held_not_guessed(found: list[Found]) -> None:
    gone = replace(EFFECT, sender_gone_at=SENT)
    assert isinstance(judge(gone, operation(EffectClass.NONE), found, NOW), Hold)


@pytest.mark.parametrize("effect", CLASSES)
def test_what_was_accepted_and_forgotten_is_held(effect: EffectClass) -> None:
    lost = replace(EFFECT, external_id="job-1", sender_gone_at=SENT - timedelta(days=1))
    assert isinstance(judge(lost, operation(effect), [], NOW), Hold)


@pytest.mark.parametrize("effect", CLASSES)
def test_absence_counts_only_once_it_would_be_visible(effect: EffectClass) -> None:
    op = operation(effect, visibility_lag=timedelta(minutes=5))
    expected = Hold if effect is EffectClass.NONE else Wait
    assert isinstance(judge(EFFECT, op, [], NOW), expected)


@pytest.mark.parametrize("effect", CLASSES)
def test_doubt_does_not_last_for_ever(effect: EffectClass) -> None:
    old = replace(EFFECT, doubt_since=NOW - timedelta(hours=1))
    assert isinstance(judge(old, operation(effect), [], NOW), Hold)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_a_stopped_task_is_not_sent_again(effect: EffectClass) -> None:
    judgement = judge(EFFECT, operation(effect), [], NOW, stopping=True)
    assert isinstance(judgement, Wait)
