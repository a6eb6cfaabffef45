"""Landing: until when a request for an effect may still arrive at its provider, though
it is known by now what has become of the effect."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from earmark.domain.connector import EffectClass, Operation
from earmark.domain.task import Placeholder
from earmark.store import sends
from earmark.store.database import Transaction
from earmark.store.sends import Send


def may_land_until(
    tx: Transaction, effect: Placeholder, operation: Operation
) -> datetime | None:
    """None when none can land any more; soon, when a sender may still be alive."""
    return _until(tx, sends.of_placeholder(tx, effect.id), operation)


def _until(
    tx: Transaction, made: Sequence[Send], operation: Operation
) -> datetime | None:
    landed = sends.landed_by(made, operation.max_in_flight)
    if landed is None:
        return tx.now + timedelta(seconds=operation.poll_seconds)
    return landed if landed > tx.now else None


def may_come_again_until(
    tx: Transaction, effect: Placeholder, operation: Operation
) -> datetime | None:
    """The same of what is there: taken away too early, a request that was overtaken by
    another would make it anew. One request lands once; and whoever knows the token
    makes nothing of it twice, while the provider knows it."""
    made = sends.of_placeholder(tx, effect.id)
    if len(made) < 2:
        return None
    if operation.effect is EffectClass.TOKEN:
        life, first = operation.token_life, effect.first_sent_at
        if life is None or first is None:
            return None
        if made[-1].sent_at + operation.longest_way < first + life:
            return None
    return _until(tx, made, operation)
