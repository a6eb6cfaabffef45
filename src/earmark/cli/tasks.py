"""`earmark tasks`: what was asked for, and how it stands."""

from collections.abc import Sequence
from dataclasses import replace

import click

from earmark.cli.asking import json_option, timeout_option
from earmark.cli.deciding import cancel, resolve, retry
from earmark.cli.documents import Document, task_document
from earmark.cli.exits import Exit
from earmark.cli.finding import find
from earmark.cli.output import (
    age,
    print_json,
    print_rows,
    say,
    short,
)
from earmark.cli.session import Session, pass_session
from earmark.cli.task_facts import show
from earmark.cli.task_log import logs
from earmark.cli.waiting import report, wait_for
from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import LOOKED_THROUGH, Listed, TaskFace, faces, page
from earmark.engine.narrow import filter_of, named
from earmark.store import tasks as store
from earmark.store.database import Transaction

_STATES = [state.value for state in TaskState]
_OUTCOMES = [outcome.value for outcome in Outcome]
_WHEN = "2026-01-31 or 2026-01-31T14:05, in UTC unless it says its zone."


@click.group(no_args_is_help=True)
def tasks() -> None:
    """What was asked for, and how it stands.

    A task is named by its id, or by 6 or more characters of its beginning or end.
    """


@tasks.command("ls")
@click.option("--all", "children_too", is_flag=True, help="Children of plans too.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES))
@click.option("--outcome", "outcomes", multiple=True, type=click.Choice(_OUTCOMES))
@click.option("--command", metavar="NAME", default="")
@click.option("--object", metavar="KIND:ID", default="", help="Such as vm:web01.")
@click.option("--user", metavar="NAME", default="", help="Who asked.")
@click.option("--zone", default="")
@click.option(
    "--since", metavar="DATE", default="", help=f"Asked for then or later. {_WHEN}"
)
@click.option("--until", metavar="DATE", default="", help="Asked for by then.")
@click.option(
    "--find", metavar="WORDS", default="", help="In the title or the message."
)
@click.option("--needs-me", is_flag=True, help="Only what a person must decide.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@pass_session
def ls(
    session: Session,
    /,
    children_too: bool,
    states: Sequence[str],
    outcomes: Sequence[str],
    needs_me: bool,
    limit: int,
    as_json: bool,
    **words: str,
) -> None:
    """List the newest tasks."""
    words["q"] = words.pop("find")
    words |= {"state": ",".join(states), "outcome": ",".join(outcomes)}
    words["needs"] = "me" if needs_me else ""
    asked = replace(filter_of(words), children_too=children_too)

    def work(tx: Transaction) -> tuple[list[TaskFace], Listed]:
        listed = page(tx, named(tx, asked), limit)
        return faces(tx, listed.tasks), listed

    with session.engine() as engine:
        if asked.command:
            engine.commands.newest(asked.command)
        found, listed = engine.read(work)
    if listed.cut:
        say(
            f"Looked for these words in {LOOKED_THROUGH:,} tasks, the newest that fit; "
            "narrow them further, or give --until, to look at older ones."
        )
    if as_json:
        print_json([task_document(task) for task in found])
        return
    print_rows(
        ("ID", "STATE", "%", "TASK", "NOTE", "ASKED"),
        [
            (
                short(task.id),
                task.outcome or task.state,
                str(task.progress),
                task.title,
                _note(task),
                age(task.created_at),
            )
            for task in found
        ],
    )


def _note(task: TaskFace) -> str:
    return f"waiting: {task.waiting_for.text}" if task.waiting_for else task.message


@tasks.command()
@click.argument("task_id", metavar="ID")
@json_option
@pass_session
def tree(session: Session, task_id: str, as_json: bool) -> None:
    """Show a task with all its parts."""

    def work(tx: Transaction) -> tuple[str, list[TaskFace]]:
        top = find(tx, task_id)
        root = store.get(tx, top.root_id)
        return top.id, faces(tx, [root, *store.descendants(tx, root.id)])

    with session.engine() as engine:
        top_id, family = engine.read(work)
    (top,) = [task for task in family if task.id == top_id]
    if as_json:
        print_json(_branch(top, family))
        return
    rows = [
        (
            task.id,
            f"{'  ' * depth}{'undo: ' if task.undoes else ''}{task.title}",
            task.outcome or task.state,
            _note(task),
        )
        for depth, task in _walk(top, family)
    ]
    print_rows(("ID", "TASK", "STATE", "NOTE"), rows)


def _branch(task: TaskFace, family: Sequence[TaskFace]) -> Document:
    parts = [_branch(child, family) for child in family if child.parent == task.id]
    return task_document(task) | {"children": parts}


def _walk(
    task: TaskFace, family: Sequence[TaskFace], depth: int = 0
) -> list[tuple[int, TaskFace]]:
    children = (child for child in family if child.parent == task.id)
    below = (pair for child in children for pair in _walk(child, family, depth + 1))
    return [(depth, task), *below]


@tasks.command()
@click.argument("task_id", metavar="ID")
@timeout_option
@json_option
@pass_session
def wait(session: Session, task_id: str, timeout: float | None, as_json: bool) -> Exit:
    """Wait for a task's end; the exit code says how it ended."""
    with session.engine() as engine:
        task = engine.read(lambda tx: find(tx, task_id))
        return report(wait_for(engine, task.id, timeout), as_json=as_json)


for _command in (show, logs, cancel, retry, resolve):
    tasks.add_command(_command)
