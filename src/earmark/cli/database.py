"""`earmark db`: the database itself."""

import re
import sys
import time
from datetime import timedelta
from typing import Any

import click
import sqlalchemy as sa

from earmark.cli.asking import json_option
from earmark.cli.copies import refuse_a_copy
from earmark.cli.output import print_facts, print_json, say
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import BadInput, Rejected
from earmark.domain.states import TaskState
from earmark.domain.task import LOCAL_OWNER
from earmark.engine import forget
from earmark.engine.runtime import Engine
from earmark.store import epoch, workers
from earmark.store.copied import disown, unfinished
from earmark.store.database import Database, Transaction
from earmark.store.migrate import version_of
from earmark.store.schema import tasks

#: How often it is looked whether a worker beats.
_LOOK_SECONDS = 0.2


@click.group(no_args_is_help=True)
def db() -> None:
    """The database: make it, bring it up to date, see how full it is."""


@db.command()
@pass_session
def migrate(session: Session) -> None:
    """Make the database and the key file, or bring the schema up to date."""
    refuse_a_copy(session.settings)
    engine = session.launch.open_engine(session.settings, create=True)
    try:
        version, _ = version_of(engine.database)
        click.echo(f"{_where(engine.database)} is at schema {version}.")
    finally:
        engine.close()


@db.command()
@json_option
@pass_session
def status(session: Session, as_json: bool) -> None:
    """Show schema, size and how many tasks there are in each state."""
    with session.engine() as engine:
        facts = _status(engine)
    if as_json:
        print_json(facts)
        return
    size = facts["size_bytes"]
    counts = facts["tasks"].items()
    print_facts(
        {
            "database": facts["database"],
            "schema": facts["schema"],
            "size": f"{size / 1e6:.1f} MB" if size is not None else "",
            "tasks": "\n".join(f"{count} {state}" for state, count in counts if count)
            or "none",
        }
    )


@db.command()
@click.option(
    "--older-than",
    "age",
    required=True,
    metavar="AGE",
    help="Such as 30d or 12h: what ended longer ago than that.",
)
@click.option("--dry-run", is_flag=True, help="Only count; delete nothing.")
@json_option
@pass_session
def prune(session: Session, age: str, dry_run: bool, as_json: bool) -> None:
    """Delete old tasks that have ended, with their parts, logs and evidence.

    A tombstone of each stays. Kept is what somebody may still need: tasks that left
    something behind at a provider, whose requests are still watched for, or that a
    later task which stays has tried again. It can be stopped at any time.
    """
    with session.engine() as engine:
        pruned = forget.prune(engine, _age(age), LOCAL_OWNER, dry_run=dry_run)
    if as_json:
        print_json(
            {"deleted": pruned.forgotten, "dry_run": dry_run, "kept": pruned.kept}
        )
        return
    done = "would be deleted" if dry_run else "deleted"
    click.echo(f"{pruned.forgotten} tasks {done}, {sum(pruned.kept.values())} kept.")
    for why, count in pruned.kept.items():
        say(f"{count} kept: {why}")


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([dh])", text)
    if found is None:
        raise BadInput(
            f"--older-than {text!r} is no age.", hint="Give days or hours: 30d, 12h."
        )
    number = int(found[1])
    return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)


@db.command()
@pass_session
def restored(session: Session) -> None:
    """Say that this database was put back from an older copy.

    Mostly Earmark notices by itself; not when a whole host, or a server as a whole, was
    put back while no worker ran. Then say it before you start any: what was not done
    yet when the copy was made is looked for at the providers before it is sent.
    """
    with session.engine() as engine:
        file = engine.database.file
        heard = engine.write(lambda tx: epoch.begin(tx, file, "a person said so"))
        epoch.remember(file, heard)
        open_ = [s for s in TaskState if s is not TaskState.DONE]
        left = sum(_status(engine)["tasks"][state.value] for state in open_)
    click.echo(f"A new epoch has begun; {left} unfinished tasks are marked.")


@db.command()
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@pass_session
def copied(session: Session, yes: bool) -> None:
    """Say that this database is a copy, to be used beside the one it was copied from.

    It becomes an installation of its own, so that what either makes at a provider
    carries a different mark, and neither takes the other's things for orphans. What had
    not ended when the copy was made is left to the original: here it ends as
    interrupted, with nothing sent and nothing taken back. Stop what works on it first.
    For a copy that takes the original's place: `earmark db restored`.
    """
    with session.engine() as engine:
        _nobody_works(engine, session.settings.silence_seconds)
        if not yes and not _is_meant(engine):
            say("Nothing was changed.")
            return
        file = engine.database.file
        done = engine.write(lambda tx: disown(tx, file, LOCAL_OWNER))
        epoch.remember(file, done.heard)
    click.echo(f"This is installation {done.now} from now on.")
    if done.tasks:
        say(f"{done.tasks} tasks have ended here; {done.was} goes on with them.")


def _is_meant(engine: Engine) -> bool:
    """Ask, with what speaks against it."""
    if not sys.stdin.isatty():
        raise BadInput("Nobody can be asked here.", hint="Say --yes.")
    file = engine.database.file
    left, same = engine.read(lambda tx: (unfinished(tx), epoch.unchanged(tx, file)))
    if same:
        say("As far as it shows, this is the original itself, and no copy of it.")
    say(f"{left} tasks that have not ended are left to the original, and end here.")
    ask = "Is this a copy that is used beside the original?"
    return click.confirm(ask, err=True)


def _nobody_works(engine: Engine, seconds: float) -> None:
    """Raise `Rejected` while a worker beats in this database. Rows of workers that do
    not were copied too: those beat in the original."""

    def beats(tx: Transaction) -> dict[str, int]:
        return {row.id: row.beat for row in workers.alive(tx)}

    before = engine.read(beats)
    until = time.monotonic() + seconds
    while before and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        beating = engine.read(beats).items() - before.items()
        if beating:
            raise Rejected(
                f"{len(beating)} workers are at work in this database.",
                hint="Stop them; a copy at work has the original's tasks in hand.",
            )


def _status(engine: Engine) -> dict[str, Any]:
    def count(tx: Transaction) -> dict[str, int]:
        number = sa.func.count().label("number")
        query = sa.select(tasks.c.state, number).group_by(tasks.c.state)
        found = {row.state: int(row.number) for row in tx.execute(query)}
        return {state.value: found.get(state, 0) for state in TaskState}

    return {
        "database": _where(engine.database),
        "schema": version_of(engine.database)[0],
        "size_bytes": _size(engine.database),
        "tasks": engine.read(count),
    }


def _where(database: Database) -> str:
    return database.url.render_as_string(hide_password=True)


def _size(database: Database) -> int | None:
    """Bytes on disk of a SQLite file with what stands beside it; a server's size is
    the server's affair."""
    if database.file is None:
        return None
    files = database.file.parent.glob(f"{database.file.name}*")
    return sum(file.stat().st_size for file in files)
