"""`earmark zones`: where workers stand and what they reach."""

import click

from earmark.cli.asking import json_option
from earmark.cli.documents import zone_document
from earmark.cli.output import print_json, print_rows
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import BadInput
from earmark.domain.inventory import Zone
from earmark.store import inventory
from earmark.store import workers as store
from earmark.store.database import Transaction


@click.group(no_args_is_help=True)
def zones() -> None:
    """Zones: places where workers stand, each with the networks that it reaches."""


@zones.command()
@click.argument("name")
@click.option("--description", default="", help="Which networks it reaches, in words.")
@pass_session
def add(session: Session, name: str, description: str) -> None:
    """Add a zone."""
    if not name.strip() or name != name.strip():
        raise BadInput(f"{name!r} is no name for a zone.")
    with session.engine() as engine:
        engine.write(lambda tx: inventory.add_zone(tx, name, description))
    click.echo(f"Added zone {name}. Start a worker in it: earmark worker --zone {name}")


@zones.command("ls")
@json_option
@pass_session
def ls(session: Session, as_json: bool) -> None:
    """List the zones, with their live workers."""

    def work(tx: Transaction) -> list[tuple[Zone, int]]:
        known = inventory.list_zones(tx)
        return [(zone, store.live(tx, zone.name)) for zone in known]

    with session.engine() as engine:
        found = engine.read(work)
    if as_json:
        print_json([zone_document(zone, workers) for zone, workers in found])
        return
    print_rows(
        ("NAME", "WORKERS", "DESCRIPTION"),
        [(zone.name, str(workers), zone.description) for zone, workers in found],
    )
