"""`earmark workers`: who works where, as far as the database knows."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click

from earmark.cli.asking import json_option
from earmark.cli.documents import worker_document
from earmark.cli.output import age, print_json, print_rows, short
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import Unavailable
from earmark.store import workers as store
from earmark.store.database import Transaction

_RECENT = timedelta(hours=1)


@click.group(no_args_is_help=True)
def workers() -> None:
    """The worker processes."""


@workers.command("ls")
@json_option
@pass_session
def ls(session: Session, as_json: bool) -> None:
    """List the workers, and those that ended within the last hour."""
    silence = session.settings.silence_seconds

    def work(tx: Transaction) -> Sequence[tuple[Any, str]]:
        rows = store.listed(tx, _RECENT)
        return [(row, _state(tx, row, silence)) for row in rows]

    with session.engine() as engine:
        found = engine.read(work)
    if as_json:
        print_json([worker_document(row, state) for row, state in found])
        return
    print_rows(
        ("ID", "ZONE", "ROLES", "STATE", "HOST", "PID", "SLOTS", "SEEN"),
        [
            (
                short(row.id),
                row.zone,
                ",".join(row.roles),
                state,
                row.host,
                str(row.pid),
                str(row.slots),
                age(row.seen_at),
            )
            for row, state in found
        ],
    )


def live_workers(
    tx: Transaction, zone: str, silence_seconds: float, role: str | None = None
) -> int:
    """How many workers of the zone (that may work in the role) are heard of.

    When all workers of an installation die at once, their rows go on saying `live`
    until another comes and looks; so a row is believed only while it is fresh.
    """
    rows = [row for row in store.alive(tx) if row.zone == zone]
    return sum(
        _state(tx, row, silence_seconds) == "live"
        for row in rows
        if role is None or "*" in row.roles or role in row.roles
    )


def need_worker(tx: Transaction, zone: str, silence_seconds: float, role: str) -> None:
    """Raise `Unavailable` when nobody could take a task of the zone and role now."""
    if not live_workers(tx, zone, silence_seconds, role):
        raise Unavailable(
            f"No live worker with role {role} stands in zone {zone}.",
            hint=f"Start one there: `earmark worker --zone {zone}`.",
        )


def _state(tx: Transaction, row: Any, silence_seconds: float) -> str:
    stale = tx.now - row.seen_at > timedelta(seconds=silence_seconds)
    return "silent" if stale and row.state in store.ALIVE else str(row.state)
