"""`earmark doctor`: what keeps this installation from working, and what to do."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from earmark.cli.address import Address
from earmark.cli.asking import json_option
from earmark.cli.copies import WHICH, may_be_copy
from earmark.cli.exits import Exit
from earmark.cli.output import print_json, print_rows
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import EarmarkError, Unavailable
from earmark.engine.registry import load_commands
from earmark.security.vault import FileVault
from earmark.store import clock, dialect, inventory, queue, workers
from earmark.store.database import Database, Transaction
from earmark.store.migrate import check_schema, version_of

_OK = "ok"
_TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing that was looked at."""

    check: str
    state: str
    detail: str
    todo: str = ""


Check = Callable[[Session], Iterator[_Finding]]


@click.command()
@json_option
@pass_session
def doctor(session: Session, as_json: bool) -> Exit:
    """Look at everything that must be right; exit 1 if something is not."""
    findings = [finding for check in _CHECKS for finding in _looked_at(check, session)]
    if as_json:
        print_json(
            [
                {"check": f.check, "state": f.state, "detail": f.detail, "todo": f.todo}
                for f in findings
            ]
        )
    else:
        print_rows(
            ("CHECK", "STATE", "DETAIL"),
            [(f.check, f.state, f"{f.detail} {f.todo}".strip()) for f in findings],
        )
    bad = any(finding.state == _TROUBLE for finding in findings)
    return Exit.FAILED if bad else Exit.OK


def _looked_at(check: Check, session: Session) -> list[_Finding]:
    name = check.__name__.strip("_")
    try:
        return list(check(session))
    except EarmarkError as error:
        return [_Finding(name, _TROUBLE, str(error), error.hint)]


def _database(session: Session) -> Iterator[_Finding]:
    database = Database(session.settings.database_url, listen=False)
    try:
        check_schema(database)
        version, _ = version_of(database)
        where = database.url.render_as_string(hide_password=True)
        yield _Finding("database", _OK, f"{where}, schema {version}.")
        why = may_be_copy(database)
        if why:
            yield _Finding("copy", _TROUBLE, f"This may be a copy: {why}.", WHICH)
        yield database.read(_clock)
        yield from database.read(_zones)
    finally:
        database.close()


def _clock(tx: Transaction) -> _Finding:
    """Only a clock that stays wrong is told; nothing is broken by it."""
    ahead = dialect.ahead_of_wall_clock(tx.connection)
    seconds = f"{abs(ahead.total_seconds()):.0f} s"
    detail = "The store's time is the host's."
    if ahead > clock.TOLERANCE:
        detail = (
            f"The store's time is {seconds} ahead of the host's clock, so that nothing "
            "goes back; it mends itself at the host's next boot after that."
        )
    elif ahead < -clock.TOLERANCE:
        detail = (
            f"The store's time is {seconds} behind the host's clock; a worker mends it "
            "as soon as nothing is under way."
        )
    return _Finding("clock", _OK, detail)


def _zones(tx: Transaction) -> list[_Finding]:
    """Zones with something to do need a worker."""
    owned = {provider.zone for provider in inventory.list_providers(tx)}
    queued = {row.zone: row.depth for row in queue.depths(tx)}
    findings = []
    for zone in inventory.zone_names(tx):
        live = workers.live(tx, zone)
        name = f"zone {zone}"
        if live:
            plural = "s" if live > 1 else ""
            findings.append(_Finding(name, _OK, f"{live} live worker{plural}."))
        elif zone in owned or zone in queued:
            detail = f"No live worker; {queued.get(zone, 0)} tasks wait for one."
            todo = f"Run `earmark worker --zone {zone}` there."
            findings.append(_Finding(name, _TROUBLE, detail, todo))
        else:
            detail = "No live worker, and nothing to do."
            findings.append(_Finding(name, _OK, detail))
    return findings


def _key(session: Session) -> Iterator[_Finding]:
    file = session.settings.key_file
    FileVault.load(file)
    yield _Finding("key", _OK, f"{file}, readable by this user only.")


def _connectors(session: Session) -> Iterator[_Finding]:
    kinds = ", ".join(session.launch.load_connectors())
    yield _Finding("connectors", _OK, f"{kinds}.")


def _commands(session: Session) -> Iterator[_Finding]:
    known = load_commands(session.settings.commands)
    yield _Finding("commands", _OK, f"{len(known.pairs())} known.")


def _web(session: Session) -> Iterator[_Finding]:
    address = Address.parse(session.settings.bind)
    try:
        address.free()
    except Unavailable as taken:
        if not _is_earmark(address):
            raise
        del taken
        yield _Finding("web", _OK, f"Earmark answers at {address}.")
        return
    yield _Finding("web", _OK, f"{address} is free.")


def _is_earmark(address: Address) -> bool:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


_CHECKS: tuple[Check, ...] = (_database, _key, _connectors, _commands, _web)
