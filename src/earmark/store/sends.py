"""Sends: every time an effect was asked for, by whom, and whether it can still land."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from earmark.store.columns import UtcDateTime
from earmark.store.database import Transaction
from earmark.store.schema import placeholders, sends


@dataclass(frozen=True, slots=True)
class Send:
    """One send. `over_at`: since when its sender can send no more; None while it may.
    `answered`: the provider's answer came, so it has landed. `refusal`: that answer
    was a definite no, with its `code` and `text`."""

    nonce: str
    sender_id: str
    sent_at: datetime
    over_at: datetime | None
    answered: bool
    refusal: Mapping[str, str] | None


LONG_AGO = datetime.min.replace(tzinfo=UTC)

_FIELDS = [sends.c[name] for name in Send.__slots__]


def insert(tx: Transaction, placeholder_id: str, nonce: str, sender_id: str) -> None:
    """A request is about to leave."""
    tx.execute(
        sa.insert(sends).values(
            nonce=nonce,
            placeholder_id=placeholder_id,
            sender_id=sender_id,
            sent_at=tx.now,
            over_at=None,
            answered=False,
        )
    )


def refused(tx: Transaction, nonce: str, code: str, text: str) -> None:
    """The provider answered this send with a definite no: it did nothing."""
    over(tx, nonce, answered=True)
    said = {"code": code, "text": text}
    tx.execute(sa.update(sends).where(sends.c.nonce == nonce).values(refusal=said))


def never_left(tx: Transaction, nonce: str) -> None:
    """It provably did not leave, or did nothing: as if it had not been."""
    tx.execute(sa.delete(sends).where(sends.c.nonce == nonce))


def over(
    tx: Transaction, nonce: str, *, answered: bool = False, at: datetime | None = None
) -> None:
    """The call has come back: this sender sends it no more, from now or `at`."""
    tx.execute(
        sa.update(sends)
        .where(sends.c.nonce == nonce)
        .values(
            over_at=sa.func.coalesce(
                sends.c.over_at, sa.bindparam("until", at or tx.now, UtcDateTime())
            ),
            answered=sa.true() if answered else sends.c.answered,
        )
    )


def open_of(tx: Transaction, sender_id: str) -> list[tuple[str, str]]:
    """What this sender may still send, as far as is known: nonces, and their tasks."""
    query = (
        sa.select(sends.c.nonce, placeholders.c.task_id)
        .join(placeholders, placeholders.c.id == sends.c.placeholder_id)
        .where(sends.c.sender_id == sender_id, sends.c.over_at.is_(None))
    )
    return [(row.nonce, row.task_id) for row in tx.execute(query)]


def sender_gone(tx: Transaction, sender_id: str) -> None:
    """The sender's process is proved gone (rule 1)."""
    tx.execute(
        sa.update(sends)
        .where(sends.c.sender_id == sender_id, sends.c.over_at.is_(None))
        .values(over_at=tx.now)
    )


def of_placeholder(tx: Transaction, placeholder_id: str) -> list[Send]:
    """Every send of an effect, oldest first."""
    query = (
        sa.select(*_FIELDS)
        .where(sends.c.placeholder_id == placeholder_id)
        .order_by(sends.c.sent_at)
    )
    return [Send(**row._mapping) for row in tx.execute(query)]


def of_placeholders(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Send]]:
    """Every send of each of many effects, oldest first."""
    query = sa.select(sends.c.placeholder_id, *_FIELDS).where(
        sends.c.placeholder_id.in_(ids)
    )
    found: dict[str, list[Send]] = {one: [] for one in ids}
    for row in tx.execute(query.order_by(sends.c.sent_at)):
        send = {name: getattr(row, name) for name in Send.__slots__}
        found[row.placeholder_id].append(Send(**send))
    return found


def landed_by(made: Sequence[Send], in_flight: timedelta) -> datetime | None:
    """From when on none of these sends can land any more; None: that is not known.

    Horizons run from the last instant at which a request could leave (rule 14). What
    was answered has landed already.
    """
    latest = LONG_AGO
    for send in made:
        if send.answered:
            continue
        if send.over_at is None:
            return None
        latest = max(latest, send.over_at + in_flight)
    return latest
