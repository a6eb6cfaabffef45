"""`earmark tasks`: what was asked for, and how it stands."""

import re
from collections.abc import Sequence
from typing import Any

import click
import sqlalchemy as sa

from earmark.cli.asking import json_option, timeout_option
from earmark.cli.documents import Document, task_document
from earmark.cli.exits import Exit
from earmark.cli.output import (
    age,
    moment,
    print_facts,
    print_json,
    print_rows,
    short,
)
from earmark.cli.session import Session, pass_session
from earmark.cli.waiting import report, wait_for
from earmark.domain.errors import BadInput, UnknownName
from earmark.domain.states import Outcome, TaskState
from earmark.domain.task import Task
from earmark.engine.browse import TaskFace, TaskFilter, face, faces, list_tasks
from earmark.engine.runtime import Engine
from earmark.engine.wait import follow
from earmark.store import inventory, journal
from earmark.store import tasks as store
from earmark.store.database import Transaction
from earmark.store.schema import tasks as task_table

_SHORTEST = 6
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
def show(session: Session, task_id: str, as_json: bool) -> None:
    """Show one task."""
    with session.engine() as engine:
        task = engine.read(lambda tx: face(tx, find(tx, task_id)))
    if as_json:
        print_json(task_document(task))
        return
    waits = task.waiting_for
    print_facts(
        {
            "task": task.title,
            "id": task.id,
            "command": task.command,
            "state": task.outcome or task.state,
            "progress": "" if task.outcome else f"{task.progress} %",
            "message": task.message,
            "error": _error(task),
            "result": "" if task.result is None else str(task.result),
            "waiting": f"{waits.text}, since {moment(waits.since)}" if waits else "",
            "object": f"{task.object.type} {task.object.name}" if task.object else "",
            "asked by": task.user,
            "runs in": f"zone {task.zone}, role {task.role}",
            "part of": task.parent or "",
            "attempt": str(task.attempt),
            "asked": moment(task.created_at),
            "started": moment(task.started_at) if task.started_at else "",
            "finished": moment(task.finished_at) if task.finished_at else "",
        }
    )


def _error(task: TaskFace) -> str:
    if not task.error:
        return ""
    lines = [f"{task.error.get('code')}: {task.error.get('message')}"]
    lines += [f"left behind: {what}" for what in task.error.get("left_behind", ())]
    return "\n".join(lines)


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
@click.option("-f", "--follow", "keep_on", is_flag=True, help="Go on until it ends.")
@json_option
@pass_session
def logs(session: Session, task_id: str, keep_on: bool, as_json: bool) -> None:
    """Print a task's log."""
    if keep_on and as_json:
        raise BadInput("--json prints one document: it does not go with --follow.")
    with session.engine() as engine:
        task = engine.read(lambda tx: find(tx, task_id))
        if as_json:
            lines = engine.read(lambda tx: journal.lines(tx, task.id))
            print_json([_line(line) for line in lines])
            return
        printed = _print_lines(engine, task.id, 0)
        if keep_on:
            for _ in follow(engine, task.id):
                printed = _print_lines(engine, task.id, printed)


def _line(line: Any) -> Document:
    return {
        "number": line.number,
        "at": line.at,
        "level": line.level,
        "text": line.text,
    }


def _print_lines(engine: Engine, task_id: str, after: int) -> int:
    """Print the lines after a number; returns the last one's."""
    lines = engine.read(lambda tx: journal.lines(tx, task_id, after=after))
    for line in lines:
        level = "" if line.level == "info" else f"{line.level}: "
        click.echo(f"{moment(line.at, 'milliseconds')}  {level}{line.text}")
    return lines[-1].number if lines else after


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


def find(tx: Transaction, ref: str) -> Task:
    """A task by its id, or by a beginning or end of it that no other has.

    Raises `UnknownName`, and `BadInput` when several tasks fit.
    """
    exact = store.find(tx, ref)
    if exact is not None:
        return exact
    if len(ref) < _SHORTEST or not re.fullmatch("[0-9a-f-]+", ref):
        raise UnknownName(
            f"There is no task {ref!r}.",
            hint=f"Give the id or at least {_SHORTEST} characters of its beginning or "
            "end; see `earmark tasks ls`.",
        )
    query = sa.select(task_table.c.id).where(
        sa.or_(task_table.c.id.startswith(ref), task_table.c.id.endswith(ref))
    )
    ids = tx.execute(query.limit(2)).scalars().all()
    if len(ids) > 1:
        raise BadInput(
            f"More than one task's id begins or ends with {ref!r}.",
            hint="Give more of it.",
        )
    return store.get(tx, ids[0] if ids else ref)
