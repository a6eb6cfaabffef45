"""Confirm: a person says that a held effect is absent. The provider is asked once more
before that is believed; what it shows counts for more than what anybody says."""

from collections.abc import Sequence

from earmark.domain.connector import EffectClass
from earmark.domain.outcome import Found
from earmark.domain.states import PlaceholderState
from earmark.engine.doubt import hold
from earmark.engine.due import Check
from earmark.engine.end import End
from earmark.engine.probe import adopt
from earmark.engine.wake import end
from earmark.store import placeholders, tasks
from earmark.store.database import Transaction


def confirm(check: Check, seen: Sequence[Found]) -> None:
    """Carry out "confirm absent", now that the provider was asked again.

    Raises `Stale` when somebody else was first.
    """
    effect = check.effect
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


def _absent(tx: Transaction, check: Check) -> None:
    effect = check.effect
    task = tasks.lock_family(tx, effect.task_id)
    text = f"Absent at the provider, as {effect.decision['by']} confirmed."
    placeholders.witness(tx, effect.id, "probe", text)
    placeholders.move(tx, effect, PlaceholderState.SETTLED, next_check_at=None)
    end(tx, task, End.failed(text, "absent"))
