"""Probe: judge what was seen of a request in doubt, and write the judgement down."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from earmark.domain.connector import EffectClass
from earmark.domain.outcome import Done, Failed, Found
from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder
from earmark.engine.again import promise_again
from earmark.engine.doubt import hold
from earmark.engine.due import Check
from earmark.engine.end import End
from earmark.engine.judge import (
    Adopt,
    Hold,
    PlanAgain,
    Refuse,
    SendAgain,
    Wait,
    judge,
)
from earmark.engine.note import may_land_until
from earmark.engine.restored import unasked
from earmark.engine.settle import settle_job
from earmark.engine.wake import end
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction

_SOON = timedelta(seconds=1)
_SIBLING = "Another like it is just being sent; what is there may be that one's."


def conclude(check: Check, seen: Sequence[Found]) -> None:
    """Judge what was seen of an effect in doubt, and write it down.

    Raises `Stale` when somebody else was first.
    """
    engine, effect = check.engine, check.effect
    candidates = list(seen)
    if check.operation.effect is EffectClass.TASKS:
        rest = engine.read(lambda tx: _nobody_elses(tx, effect, candidates))
        if rest is None:
            engine.write(lambda tx: _wait(tx, effect, tx.now + _SOON, _SIBLING))
            return
        candidates = rest
    handle = engine.read(lambda tx: placeholders.late_handle(tx, effect.id))
    if handle is not None:
        candidates = proved(candidates, handle, effect.id)
    judgement = judge(
        effect,
        check.operation,
        check.made,
        candidates,
        check.asked_at,
        stopping=check.task.stop_requested,
    )
    match judgement:
        case Adopt(found, spare):
            adopt(check, found, spare)
        case SendAgain(why):
            engine.write(lambda tx: _send_again(tx, effect, why))
        case PlanAgain(why):
            engine.write(lambda tx: _plan_again(tx, effect, why))
        case Refuse(code, why):
            engine.write(lambda tx: _refuse(tx, check, code, why))
        case Wait(until, why):
            engine.write(lambda tx: _wait(tx, effect, until, why))
        case Hold(why):
            hold(engine, effect, why)


def proved(candidates: Sequence[Found], handle: str, token: str) -> list[Found]:
    """Our own send heard this name from the provider: that is proof, whether or not
    the provider shows a mark, or the thing itself."""
    shown = [found for found in candidates if found.id == handle]
    others = [found for found in candidates if found.id != handle]
    return [replace(shown[0] if shown else Found(handle), mark=token), *others]


def _nobody_elses(
    tx: Transaction, effect: Placeholder, candidates: Sequence[Found]
) -> list[Found] | None:
    """A lock keeps others' roots out, not the same plan's other children, which may ask
    for the same: without what is bound to one of those. None while that cannot be told,
    since one of them is just being sent."""
    if placeholders.another_sending(tx, effect):
        return None
    bound_to = placeholders.bound_to
    return [one for one in candidates if bound_to(tx, effect, one.id) is None]


def adopt(check: Check, found: Found, spare: Sequence[Found]) -> None:
    """What was found is ours: from here on it is followed, or has ended already and no
    earlier request can undo that (rule 12)."""
    engine, effect = check.engine, check.effect
    if isinstance(found.done, (Done, Failed)) and may_land_until(check) is None:
        engine.write(lambda tx: _note_found(tx, effect, found, spare))
        settle_job(engine, effect, check.command, found.done, external_id=found.id)
        return

    def work(tx: Transaction) -> None:
        task = tasks.lock_family(tx, effect.task_id)
        _note_found(tx, effect, found, spare)
        # Found under the name that polling did not know: the doubt is not over yet.
        again = found.id == effect.external_id
        # It is asked at its own pace, or polling and probing would chase each other.
        pause = timedelta(seconds=check.operation.poll_seconds if again else 0)
        placeholders.move(
            tx,
            effect,
            PlaceholderState.BOUND,
            external_id=found.id,
            doubt_since=effect.doubt_since if again else None,
            next_check_at=tx.now + pause,
            decision=None,
            resend=False,
            checks=0,
            errors=0,
        )
        if task.state in (TaskState.WAITING, TaskState.CANCELLING):
            tasks.change(tx, task, message="")
        else:
            # Held, or about to be sent again: neither a person nor a worker has to.
            tasks.rest(tx, task, message="")

    engine.write(work)


def _note_found(
    tx: Transaction, effect: Placeholder, found: Found, spare: Sequence[Found]
) -> None:
    """Keep what a probe saw; more than one of ours is said loudly."""
    text = f"The provider shows {found.id}, which is ours."
    placeholders.witness(tx, effect.id, "probe", text, external_id=found.id)
    text = f"Found at the provider and adopted: {found.id}."
    journal.log(tx, effect.task_id, text)
    for extra in spare:
        text = f"A second one of ours, an orphan: {extra.id}."
        placeholders.witness(tx, effect.id, "orphan", text, external_id=extra.id)
        journal.log(tx, effect.task_id, text, "error")


def _send_again(tx: Transaction, effect: Placeholder, why: str) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    if task.stop_requested:
        # Asked to stop since it was judged: the next look judges without a resend.
        placeholders.change(tx, effect, next_check_at=tx.now)
        return
    placeholders.change(tx, effect, next_check_at=None, resend=True)
    placeholders.witness(tx, effect.id, "probe", why)
    journal.log(tx, task.id, why)
    tasks.queue(tx, task, message=why)


def _plan_again(tx: Transaction, effect: Placeholder, why: str) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    placeholders.witness(tx, effect.id, "probe", why)
    journal.log(tx, task.id, why)
    if task.stop_requested:
        if unasked(tx, task, effect):
            # Sent again, perhaps, after the copy was taken that this store is.
            placeholders.change(tx, effect, next_check_at=tx.now)
            return
        placeholders.move(tx, effect, PlaceholderState.DROPPED, next_check_at=None)
        end(tx, task, End.cancelled(why))
        return
    placeholders.move(
        tx, effect, PlaceholderState.PLANNED, next_check_at=None, doubt_since=None
    )
    tasks.queue(tx, task, message=why)


def _refuse(tx: Transaction, check: Check, code: str, why: str) -> None:
    effect = check.effect
    task = tasks.lock_family(tx, effect.task_id)
    if unasked(tx, task, effect):
        # Sent once more, perhaps, after the copy was taken that this store is.
        placeholders.change(tx, effect, next_check_at=tx.now)
        return
    refused = placeholders.move(
        tx, effect, PlaceholderState.REFUSED, next_check_at=None
    )
    placeholders.witness(tx, effect.id, "refused", why)
    if not promise_again(tx, task, refused, check.command, code, why):
        end(tx, task, End.failed(why, code))


def _wait(tx: Transaction, effect: Placeholder, until: datetime, why: str) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    placeholders.change(tx, effect, next_check_at=until, checks=0, errors=0)
    if task.message != why:
        placeholders.witness(tx, effect.id, "probe", why)
        journal.log(tx, task.id, why)
        tasks.change(tx, task, message=why)
