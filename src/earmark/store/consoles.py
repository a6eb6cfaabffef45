"""Consoles: tickets that are used once, and who looks at which VM.

A ticket and a browser's session are kept as hashes only: whoever reads the database
can open nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa

from earmark.domain.console import Console, ConsoleState
from earmark.domain.errors import UnknownName
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import consoles

#: How long a ticket is good.
TICKET_LIFE = timedelta(seconds=30)
#: A web process that has said nothing for so long has nobody looking any more.
QUIET = timedelta(seconds=30)

_FIELDS = [consoles.c[name] for name in Console.__slots__]
_IN_USE = (ConsoleState.CLAIMED, ConsoleState.OPEN)


def issue(
    tx: Transaction,
    console_id: str,
    *,
    vm_id: str,
    provider_id: str,
    session: str,
    ticket: str,
) -> None:
    """Write down a ticket for one browser's session and one VM."""
    tx.execute(
        sa.insert(consoles).values(
            id=console_id,
            vm_id=vm_id,
            provider_id=provider_id,
            session_hash=_hash(session),
            ticket_hash=_hash(ticket),
            state=ConsoleState.ASKED,
            address="",
            reason="",
            created_at=tx.now,
            expires_at=tx.now + TICKET_LIFE,
            seen_at=tx.now,
        )
    )


def claim(
    tx: Transaction,
    console_id: str,
    *,
    vm_id: str,
    session: str,
    ticket: str,
    address: str,
) -> bool:
    """Use the ticket; False when it was used, is too old, or is another's or for
    another VM. One statement decides, so of many who try at once one succeeds."""
    used = tx.execute(
        sa.update(consoles)
        .where(
            consoles.c.id == console_id,
            consoles.c.vm_id == vm_id,
            consoles.c.session_hash == _hash(session),
            consoles.c.ticket_hash == _hash(ticket),
            consoles.c.state == ConsoleState.ASKED,
            consoles.c.expires_at > tx.now,
        )
        .values(
            state=ConsoleState.CLAIMED,
            address=address,
            claimed_at=tx.now,
            seen_at=tx.now,
        )
    )
    return used.rowcount == 1


def get(tx: Transaction, console_id: str) -> Console:
    """A console by id; raises `UnknownName`."""
    row = tx.execute(
        sa.select(*_FIELDS).where(consoles.c.id == console_id)
    ).one_or_none()
    if row is None:
        raise UnknownName(
            f"There is no console {console_id!r}.",
            hint="Open one from the VM's page.",
        )
    return _console(row)


def come_back(tx: Transaction, console_id: str, session: str) -> None:
    """End a console of the same browser, which opens another in its place: it may not
    be known yet that the first one broke."""
    own = sa.select(consoles.c.id).where(
        consoles.c.id == console_id, consoles.c.session_hash == _hash(session)
    )
    end(tx, [row.id for row in tx.execute(own)], "This browser connected again.")


def one_at_a_time(tx: Transaction, vm_id: str) -> None:
    """Until the commit, nobody else begins to look at the VM. Taken before any row of
    its consoles, which two viewers would else lock in opposite orders."""
    dialect.lock_names(tx.connection, [f"console:{vm_id}"])


def others_on(tx: Transaction, vm_id: str, but: str) -> list[Console]:
    """Who else looks at the VM now; see `one_at_a_time`."""
    query = sa.select(*_FIELDS).where(
        consoles.c.vm_id == vm_id,
        consoles.c.id != but,
        consoles.c.state.in_(_IN_USE),
        consoles.c.seen_at > tx.now - QUIET,
    )
    return [_console(row) for row in tx.execute(query.order_by(consoles.c.id))]


def asked_of(tx: Transaction, console_id: str, task_id: str) -> None:
    """Note the task that opens it."""
    tx.execute(
        sa.update(consoles).where(consoles.c.id == console_id).values(task_id=task_id)
    )


def opened(tx: Transaction, console_id: str) -> bool:
    """Bytes go both ways from now on; False when it was ended meanwhile."""
    changed = tx.execute(
        sa.update(consoles)
        .where(consoles.c.id == console_id, consoles.c.state == ConsoleState.CLAIMED)
        .values(state=ConsoleState.OPEN, seen_at=tx.now)
    )
    return changed.rowcount == 1


def end(tx: Transaction, ids: Collection[str], reason: str) -> int:
    """End consoles, once; those that have ended keep their reason."""
    ended = tx.execute(
        sa.update(consoles)
        .where(consoles.c.id.in_(ids), consoles.c.state.in_(_IN_USE))
        .values(state=ConsoleState.ENDED, reason=reason, ended_at=tx.now)
    )
    return ended.rowcount


def ended_among(tx: Transaction, ids: Collection[str]) -> dict[str, str]:
    """Of these, those that somebody has ended, and why."""
    query = sa.select(consoles.c.id, consoles.c.reason).where(
        consoles.c.id.in_(ids), consoles.c.state == ConsoleState.ENDED
    )
    return {row.id: row.reason for row in tx.execute(query)}


def touch(tx: Transaction, ids: Sequence[str]) -> None:
    """Say that browsers still look at these."""
    tx.execute(
        sa.update(consoles)
        .where(consoles.c.id.in_(ids), consoles.c.state.in_(_IN_USE))
        .values(seen_at=tx.now)
    )


def prune(tx: Transaction, before: datetime) -> None:
    """Delete what was over by then, and what nobody has had since."""
    over = sa.func.coalesce(consoles.c.ended_at, consoles.c.seen_at)
    tx.execute(sa.delete(consoles).where(over < before))


def _console(row: sa.Row[tuple[object, ...]]) -> Console:
    values = dict(row._mapping)
    return Console(**values | {"state": ConsoleState(values["state"])})


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
