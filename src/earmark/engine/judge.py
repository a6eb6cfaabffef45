"""Judge: what to conclude about a request whose answer was lost. Pure: no I/O.

It decides from the operation's class, from what the provider showed, and from whether
any send can still land. Adopted is only what is provably ours (rule 3); nothing is sent
again while an earlier request may still land, unless the provider deduplicates
(invariant 4); doubt that does not end by itself is a person's (rule 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from earmark.domain.connector import TOKEN_MARGIN, EffectClass, Operation
from earmark.domain.outcome import Found
from earmark.domain.task import Placeholder
from earmark.store.sends import Send, landed_by

#: Sends of one effect that came to nothing, before a person is asked.
MOST_SENDS = 5
_LONGEST_WAIT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Adopt:
    """It is there and ours. The others are ours too, and too many."""

    found: Found
    spare: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The provider deduplicates: the same token and stored request, once more."""

    why: str


@dataclass(frozen=True, slots=True)
class PlanAgain:
    """It is absent, and no earlier request can still land."""

    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be concluded yet; look again then."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing more can be found out: a person decides."""

    why: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The provider said no to the last request, none can land any more, and it is
    absent: that no is definite."""

    code: str
    why: str


Judgement = Adopt | SendAgain | PlanAgain | Refuse | Wait | Hold


def judge(
    effect: Placeholder,
    operation: Operation,
    sends: Sequence[Send],
    candidates: Sequence[Found],
    now: datetime,
    *,
    stopping: bool = False,
) -> Judgement:
    """Decide about an effect in doubt. With `stopping`, nothing is sent again."""
    overdue = now - (effect.doubt_since or now) > operation.hold_after
    if operation.effect is EffectClass.TASKS:
        candidates = [f for f in candidates if f.id not in (effect.seen_before or ())]
        if len(candidates) > 1:
            return Hold("Several are there that were not before; one may be ours.")
    ours = [f for f in candidates if _provably_ours(f, effect, operation)]
    if ours:
        if overdue and ours[0].id == effect.external_id and ours[0].done is None:
            return Hold(f"The provider shows {ours[0].id}, and yet does not know it.")
        return Adopt(ours[0], tuple(ours[1:]))
    if operation.effect is EffectClass.NONE:
        return Hold("The provider cannot be asked what became of this request.")
    if candidates:
        return Hold("Something is there, but nothing proves that it is ours.")
    verdict = _absent(effect, operation, sends, now, stopping)
    if overdue and isinstance(verdict, Wait):
        return Hold(f"It could not be found out what became of this: {verdict.why}")
    vain = overdue or isinstance(verdict, PlanAgain)
    resend = isinstance(verdict, SendAgain | PlanAgain)
    if vain and resend and len(sends) >= MOST_SENDS:
        return Hold(f"It was sent {len(sends)} times, and is still not there.")
    return verdict


def token_valid(effect: Placeholder, operation: Operation, now: datetime) -> bool:
    """True while the provider still recognises the token, counted from the first send
    (rule 14), when a request that leaves now arrives at its latest."""
    if operation.token_life is None or effect.first_sent_at is None:
        return True
    last = operation.token_life - TOKEN_MARGIN - operation.longest_way
    return now < effect.first_sent_at + last


def _provably_ours(found: Found, effect: Placeholder, operation: Operation) -> bool:
    # An absolute target state counts whoever brought it about (rule 12). Of a task that
    # fits, was not there before, and that our lock lets nobody of ours ask for, the
    # description and the recorded absence are the proof (rule 3).
    if operation.effect is EffectClass.TASKS and effect.seen_before is not None:
        return True
    return operation.effect is EffectClass.ABSOLUTE or found.mark == effect.id


def _absent(
    effect: Placeholder,
    operation: Operation,
    sends: Sequence[Send],
    now: datetime,
    stopping: bool,
) -> Judgement:
    last_left = max((s.over_at or s.sent_at for s in sends), default=now)
    visible_at = last_left + operation.visibility_lag
    if now < visible_at:
        return Wait(visible_at, "It may not be listed yet.")
    if effect.external_id is not None:
        # It was accepted once: an effect may be there although its job is forgotten.
        # The id is the provider's own, or one that a person adopted.
        return Hold(f"The provider does not know {effect.external_id}, nor shows it.")
    # Asked once more it would say no once more; what came before it may still land.
    refusal = sends[-1].refusal if sends and not stopping else None
    sendable = operation.repeatable and not stopping and refusal is None
    if sendable and token_valid(effect, operation, now):
        return SendAgain("It is not there; the same token can be sent again.")
    landed = landed_by(sends, operation.max_in_flight)
    if landed is None:
        soon = now + timedelta(seconds=operation.poll_seconds)
        return Wait(soon, "It is not there, but its sender may still be alive.")
    if now < landed:
        until = min(landed, now + _LONGEST_WAIT)
        return Wait(until, "It is not there, but may still be on its way.")
    if now < landed + operation.visibility_lag:
        # What landed at the last moment is listed that much later.
        return Wait(landed + operation.visibility_lag, "It may not be listed yet.")
    if refusal is not None:
        return Refuse(refusal["code"], f"{refusal['text']} It is not there either.")
    return PlanAgain("It is not there, and can no longer arrive.")
