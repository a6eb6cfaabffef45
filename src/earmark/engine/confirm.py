"""Confirm: a person says that a held effect is absent. The provider is asked once more
before that is believed; what it shows, and what a sender of ours heard, counts for more
than what anybody says. A late answer alone ends a hold as well."""

from collections.abc import Sequence

from earmark.domain.connector import EffectClass
from earmark.domain.outcome import Found
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.engine.doubt import hold
from earmark.engine.due import Check
from earmark.engine.end import End
from earmark.engine.probe import adopt, proved
from earmark.engine.wake import end
from earmark.store import placeholders, tasks
from earmark.store.database import Transaction


def confirm(check: Check, seen: Sequence[Found]) -> None:
    """Carry out "confirm absent", now that the provider was asked again.

    Raises `Stale` when somebody else was first.
    """
    effect = check.effect
    before: Sequence[str] = ()
    if check.operation.effect is EffectClass.TASKS:
        before = effect.seen_before or ()
    seen = [found for found in seen if found.id not in before]
    heard = check.engine.read(lambda tx: _heard(tx, effect))
    if heard is not None:
        seen = proved(seen, heard, effect.id)
    absolute = check.operation.effect is EffectClass.ABSOLUTE
    ours = [found for found in seen if absolute or found.mark == effect.id]
    if ours:
        adopt(check, ours[0], ours[1:])
    elif seen:
        there = ", ".join(found.id for found in seen)
        why = f"Not absent: the provider shows {there}. Adopt it if it is this one."
        hold(check.engine, effect, why)
    else:
        check.engine.write(lambda tx: _absent(tx, check))


def _heard(tx: Transaction, effect: Placeholder) -> str | None:
    """The handle that a late answer named, unless it was followed already."""
    handle = placeholders.late_handle(tx, effect.id)
    return None if handle == effect.external_id else handle


def _absent(tx: Transaction, check: Check) -> None:
    effect = check.effect
    task = tasks.lock_family(tx, effect.task_id)
    if effect.decision is None or _heard(tx, effect) is not None:
        # Nobody says that it is absent; or its sender has spoken since it was asked.
        soon = None if effect.decision is None else tx.now
        placeholders.change(tx, effect, next_check_at=soon)
        return
    text = f"Absent at the provider, as {effect.decision['by']} confirmed."
    placeholders.witness(tx, effect.id, "probe", text)
    settled = PlaceholderState.SETTLED
    placeholders.move(tx, effect, settled, next_check_at=None, ended_well=False)
    end(tx, task, End.failed(text, "absent"))
