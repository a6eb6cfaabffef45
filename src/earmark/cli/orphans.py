"""`earmark orphans`: what nothing explains, and what is decided about it."""

import sys
from collections.abc import Mapping

import click

from earmark.cli.asking import How, ask, asks, json_option
from earmark.cli.documents import orphan_document
from earmark.cli.exits import Exit
from earmark.cli.output import (
    age,
    moment,
    print_facts,
    print_json,
    print_rows,
    say,
    short,
)
from earmark.cli.session import Session, pass_session
from earmark.commands import AdoptOrphan, DestroyOrphan
from earmark.domain.errors import BadInput
from earmark.domain.inventory import Provider
from earmark.domain.orphan import Orphan, Sweep, SweepState
from earmark.engine import describe
from earmark.engine.orphaned import refuse_unless_open
from earmark.engine.sweep import summary
from earmark.store import inventory
from earmark.store import orphans as rows
from earmark.store.database import Transaction


@click.group(no_args_is_help=True)
def orphans() -> None:
    """Orphans: what carries our mark at a provider, and no task explains.

    One is named by its id, by 6 or more characters of its beginning or end, or by the
    provider's id of it.
    """


@orphans.command("ls")
@click.option("--provider", metavar="NAME", help="Only what is there.")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@json_option
@pass_session
def ls(session: Session, provider: str | None, every: bool, as_json: bool) -> None:
    """List what nothing explains, and say when each provider was swept."""

    def work(
        tx: Transaction,
    ) -> tuple[Mapping[str, Provider], list[Orphan], Mapping[str, Sweep]]:
        only = inventory.provider(tx, provider).id if provider else None
        known = {it.id: it for it in inventory.list_providers(tx)}
        looked = [only] if only else list(known)
        found = rows.listed(tx, only, every=every)
        return known, found, rows.newest_sweeps(tx, looked)

    with session.engine() as engine:
        known, found, sweeps = engine.read(work)
    if as_json:
        named = ((it, known[it.provider_id].name) for it in found)
        print_json([orphan_document(it, name) for it, name in named])
        return
    _print(found, known, every)
    for provider_id, sweep in sweeps.items():
        say(f"{known[provider_id].name}: {_swept(sweep, found)}")
        for it in sweep.missing:
            say(f"  missing: {it.kind} {it.external_id}, made by “{it.title}”")


def _print(found: list[Orphan], known: Mapping[str, Provider], every: bool) -> None:
    heads = ["ID", "PROVIDER", "KIND", "NAME", "AGE", "STATE"]
    decided = ["DECIDED BY", "WHY"] if every else []
    rows = []
    for it in found:
        facts = [short(it.id), known[it.provider_id].name, it.kind]
        facts += [it.name or it.external_id, age(it.created_at or it.first_seen_at)]
        facts += [it.state, *([it.decided_by or "", it.why or ""] if every else [])]
        rows.append((*facts, it.story))
    print_rows((*heads, *decided, "STORY"), rows)


def _swept(sweep: Sweep, found: list[Orphan]) -> str:
    if sweep.state is SweepState.NEVER:
        return "not swept yet."
    if sweep.state is not SweepState.OK:
        return f"{sweep.state}: {sweep.message}"
    here = sum(it.open and it.provider_id == sweep.provider_id for it in found)
    return f"swept {age(sweep.began_at)}, {summary(sweep, here, later=True)}"


@orphans.command()
@click.argument("orphan", metavar="ID")
@json_option
@pass_session
def show(session: Session, orphan: str, as_json: bool) -> None:
    """Show all that is known of one."""
    with session.engine() as engine:
        it, name = engine.read(lambda tx: _one(tx, orphan))
    if as_json:
        print_json(orphan_document(it, name))
        return
    print_facts(
        {
            "state": it.state,
            "id": it.id,
            "kind": it.kind,
            "name": it.name,
            "provider": name,
            "external id": it.external_id,
            "token": it.token,
            "made": moment(it.created_at) if it.created_at else "",
            "first seen": moment(it.first_seen_at),
            "last seen": moment(it.last_seen_at),
            "story": it.story,
            "task": it.task_id or "",
            "decided by": it.decided_by or "",
            "why": it.why or "",
        }
    )


@orphans.command()
@click.argument("orphan", metavar="ID")
@click.option("--why", required=True, metavar="TEXT", help="Why it is wanted.")
@asks
@pass_session
def adopt(
    session: Session,
    orphan: str,
    why: str,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> Exit:
    """Say that one is wanted: it stays as it is, and is told no more."""
    with session.engine() as engine:
        command = describe.build(AdoptOrphan, {"orphan": orphan, "why": why})
        return ask(engine, command, How(wait, timeout, as_json))


@orphans.command()
@click.argument("orphan", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@asks
@pass_session
def destroy(
    session: Session,
    orphan: str,
    yes: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> Exit:
    """Destroy one at its provider, once that has shown again that it is ours."""
    with session.engine() as engine:
        it, name = engine.read(lambda tx: _one(tx, orphan))
        refuse_unless_open(it)
        if not yes:
            if not sys.stdin.isatty():
                raise BadInput("Nobody can be asked here.", hint="Say --yes.")
            say(it.story)
            what = f"{it.kind} {it.name or it.external_id} at {name}"
            if not click.confirm(f"Destroy {what} for good?", err=True):
                say("Nothing was destroyed.")
                return Exit.INTERRUPTED
        return ask(engine, DestroyOrphan(orphan=it.id), How(wait, timeout, as_json))


def _one(tx: Transaction, ref: str) -> tuple[Orphan, str]:
    found = rows.find(tx, ref)
    return found, inventory.name_of(tx, "provider", found.provider_id)
