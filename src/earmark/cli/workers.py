"""`earmark workers`: who works where, as far as the database knows."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click

from earmark.cli.asking import json_option
from earmark.cli.documents import worker_document
from earmark.cli.output import age, print_json, print_rows, short
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import Rejected, Unavailable, UnknownName
from earmark.engine import recover
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


@workers.command()
@click.argument("worker_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def fence(session: Session, worker_id: str, yes: bool) -> None:
    """Attest that a silent worker's host is off, so that it sends nothing any more.

    For a host that nobody can ask: its power was cut, or its network taken away, for
    good. Then what it had under way goes on elsewhere without waiting for it. If the
    host is not off, something may be done twice.
    """
    with session.engine() as engine:
        row = engine.read(lambda tx: _one(tx, worker_id))
        if not yes:
            said = f"Is {row.host} off, so that worker {row.id} cannot send any more?"
            click.confirm(said, abort=True, err=True)
        why = f"a person attests that {row.host} is off"
        count = recover.worker_gone(engine, row.id, why)
    click.echo(f"Worker {row.id} is gone; {count} tasks go on elsewhere.")


def _one(tx: Transaction, worker_id: str) -> Any:
    found = [r for r in store.alive(tx) if worker_id in (r.id, short(r.id))]
    if len(found) != 1:
        raise UnknownName(
            f"No worker {worker_id!r} may still be doing something.",
            hint="See `earmark workers ls`.",
        )
    if store.shown_state(found[0], tx.now) == "live":
        raise Rejected(
            f"Worker {worker_id} is alive: it beats.", hint="Stop it there instead."
        )
    return found[0]


def need_worker(tx: Transaction, zone: str, role: str) -> None:
    """Raise `Unavailable` when nobody could take a task of the zone and role now."""
    if not store.live(tx, zone, role):
        raise Unavailable(
            f"No live worker with role {role} stands in zone {zone}.",
            hint=f"Start one there: `earmark worker --zone {zone}`.",
        )
