"""`earmark tasks`: what was asked for, and how it stands."""

from collections.abc import Sequence

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
    short,
)
from earmark.cli.session import Session, pass_session
from earmark.cli.task_facts import show
from earmark.cli.task_log import logs
from earmark.cli.waiting import report, wait_for
from earmark.domain.errors import BadInput
from earmark.domain.states import Outcome, TaskState
from earmark.engine.browse import TaskFace, TaskFilter, faces, list_tasks
from earmark.store import inventory
from earmark.store import tasks as store
from earmark.store.database import Transaction

_STATES = [state.value for state in TaskState]
_OUTCOMES = [outcome.value for outcome in Outcome]


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
@click.option("--object", "subject", metavar="KIND:ID", help="Such as vm:web01.")
@click.option("--zone", default="")
@click.option("--needs-me", is_flag=True, help="Only what a person must decide.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@pass_session
def ls(
    session: Session,
    children_too: bool,
    states: Sequence[str],
    outcomes: Sequence[str],
    command: str,
    subject: str | None,
    zone: str,
    needs_me: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest tasks."""

    def work(tx: Transaction) -> list[TaskFace]:
        kind, object_id = _subject(tx, subject)
        if zone:
            inventory.check_zone(tx, zone)
        which = TaskFilter(
            states=tuple(TaskState(state) for state in states),
            outcomes=tuple(Outcome(outcome) for outcome in outcomes),
            command=command,
            object_kind=kind,
            object_id=object_id,
            zone=zone,
            needs_person=needs_me,
            children_too=children_too,
        )
        return faces(tx, list_tasks(tx, which, limit))

    with session.engine() as engine:
        if command:
            engine.commands.newest(command)
        found = engine.read(work)
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


def _subject(tx: Transaction, text: str | None) -> tuple[str, str]:
    if not text:
        return "", ""
    kind, colon, ref = text.partition(":")
    if not colon or kind not in ("vm", "provider", "template"):
        raise BadInput(
            f"--object {text!r} is not KIND:ID.",
            hint="Kinds are vm, provider and template.",
        )
    return kind, inventory.resolve(tx, kind, ref)


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
        (f"{'  ' * depth}{task.title}", task.outcome or task.state, _note(task))
        for depth, task in _walk(top, family)
    ]
    print_rows(("TASK", "STATE", "NOTE"), rows)


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
