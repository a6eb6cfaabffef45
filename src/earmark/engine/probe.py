"""Probe: what became of a request whose answer was lost?

`judge` decides from the operation's class, what the provider showed, and whether an
earlier request can still land; `apply` writes the decision. Adopted is only what is
provably ours (rule 3); nothing is sent again while an earlier request may still land,
unless the provider deduplicates (invariant 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import EffectClass, Operation
from earmark.domain.outcome import Done, Failed, Found
from earmark.domain.states import Outcome, PlaceholderState, TaskState
from earmark.domain.task import Placeholder
from earmark.engine.doubt import hold
from earmark.engine.runtime import Engine
from earmark.engine.settle import settle_job
from earmark.engine.wake import End, end
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction

#: Kept clear of a token's end, for clocks and for the request's own way.
TOKEN_MARGIN = timedelta(minutes=1)


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


Judgement = Adopt | SendAgain | PlanAgain | Wait | Hold


def judge(
    effect: Placeholder,
    operation: Operation,
    candidates: Sequence[Found],
    now: datetime,
    *,
    stopping: bool = False,
) -> Judgement:
    """Decide about an effect in doubt; pure. With `stopping`, nothing is sent again."""
    ours = [f for f in candidates if _provably_ours(f, effect, operation)]
    if ours:
        return Adopt(ours[0], tuple(ours[1:]))
    since = effect.doubt_since or now
    if operation.effect is EffectClass.NONE:
        return Hold("The provider cannot be asked what became of this request.")
    if now - since > operation.hold_after:
        return Hold("It could not be found out what became of this request.")
    if candidates:
        return Hold("Something is there, but nothing proves that it is ours.")
    return _absent(effect, operation, now, stopping)


def _provably_ours(found: Found, effect: Placeholder, operation: Operation) -> bool:
    # An absolute target state counts whoever brought it about (rule 12).
    return operation.effect is EffectClass.ABSOLUTE or found.mark == effect.id


def _absent(
    effect: Placeholder, operation: Operation, now: datetime, stopping: bool
) -> Judgement:
    assert effect.last_sent_at is not None
    assert effect.first_sent_at is not None
    soon = now + timedelta(seconds=operation.poll_seconds)
    # Only what the provider can show by now counts as absent.
    visible_at = (
        effect.sender_gone_at or effect.last_sent_at
    ) + operation.visibility_lag
    if now < visible_at:
        return Wait(visible_at, "It may not be listed yet.")
    if effect.external_id is not None:
        # It was accepted once: an effect may be there although its job is forgotten.
        return Hold(f"The provider no longer knows its own job {effect.external_id}.")
    if operation.repeatable and not stopping:
        life = operation.token_life
        if life is None or now < effect.first_sent_at + life - TOKEN_MARGIN:
            return SendAgain("It is not there; the same token can be sent again.")
    if effect.sender_gone_at is None:
        return Wait(soon, "It is not there, but its sender may still be alive.")
    cannot_land_at = effect.sender_gone_at + operation.max_in_flight
    if now < cannot_land_at:
        return Wait(
            min(cannot_land_at, now + timedelta(seconds=30)),
            "It is not there, but may still be on its way.",
        )
    return PlanAgain("It is not there, and can no longer arrive.")


def apply(
    engine: Engine,
    effect: Placeholder,
    command: ExternalJob[Any],
    judgement: Judgement,
) -> None:
    """Write a judgement. Raises `Stale` when somebody else was first."""
    match judgement:
        case Adopt(found, spare):
            _adopt(engine, effect, command, found, spare)
        case SendAgain(why):
            engine.write(lambda tx: _send_again(tx, effect, why))
        case PlanAgain(why):
            engine.write(lambda tx: _plan_again(tx, effect, why))
        case Wait(until, why):
            engine.write(lambda tx: _wait(tx, effect, until, why))
        case Hold(why):
            hold(engine, effect, why)


def _adopt(
    engine: Engine,
    effect: Placeholder,
    command: ExternalJob[Any],
    found: Found,
    spare: Sequence[Found],
) -> None:
    _note_found(engine, effect, found, spare)
    if isinstance(found.done, (Done, Failed)):
        settle_job(engine, effect, command, found.done, external_id=found.id)
        return

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, effect.task_id)
        placeholders.move(
            tx,
            effect,
            PlaceholderState.BOUND,
            external_id=found.id,
            doubt_since=None,
            next_check_at=tx.now,
            checks=0,
        )
        task = tasks.get(tx, effect.task_id)
        tasks.change(tx, task, message="")
        journal.log(tx, task.id, f"Found at the provider and adopted: {found.id}.")

    engine.write(work)


def _note_found(
    engine: Engine, effect: Placeholder, found: Found, spare: Sequence[Found]
) -> None:
    """Keep what a probe saw; more than one of ours is said loudly."""

    def work(tx: Transaction) -> None:
        text = f"The provider shows {found.id}, which is ours."
        placeholders.witness(tx, effect.id, "probe", text, external_id=found.id)
        for extra in spare:
            text = f"A second one of ours, an orphan: {extra.id}."
            placeholders.witness(tx, effect.id, "orphan", text, external_id=extra.id)
            journal.log(tx, effect.task_id, text, "error")

    engine.write(work)


def _send_again(tx: Transaction, effect: Placeholder, why: str) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    placeholders.change(tx, effect, next_check_at=None, resend=True)
    placeholders.witness(tx, effect.id, "probe", why)
    journal.log(tx, task.id, why)
    tasks.move(tx, task, TaskState.QUEUED, message=why)


def _plan_again(tx: Transaction, effect: Placeholder, why: str) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    placeholders.witness(tx, effect.id, "probe", why)
    journal.log(tx, task.id, why)
    if task.stop_requested:
        placeholders.move(tx, effect, PlaceholderState.DROPPED, next_check_at=None)
        end(tx, task, End(Outcome.CANCELLED, why))
        return
    placeholders.move(
        tx,
        effect,
        PlaceholderState.PLANNED,
        next_check_at=None,
        doubt_since=None,
        first_sent_at=None,
        request=None,
    )
    tasks.move(tx, task, TaskState.QUEUED, message=why)


def _wait(tx: Transaction, effect: Placeholder, until: datetime, why: str) -> None:
    if effect.checks == 0:
        placeholders.witness(tx, effect.id, "probe", why)
        journal.log(tx, effect.task_id, why)
    placeholders.change(tx, effect, next_check_at=until, checks=effect.checks + 1)
