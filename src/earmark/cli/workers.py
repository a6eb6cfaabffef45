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

    def work(tx: Transaction) -> Sequence[tuple[Any, str]]:
        rows = store.listed(tx, _RECENT)
        return [(row, store.shown_state(row, tx.now)) for row in rows]

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


def need_worker(tx: Transaction, zone: str, role: str) -> None:
    """Raise `Unavailable` when nobody could take a task of the zone and role now."""
    if not store.live(tx, zone, role):
        raise Unavailable(
            f"No live worker with role {role} stands in zone {zone}.",
            hint=f"Start one there: `earmark worker --zone {zone}`.",
        )
