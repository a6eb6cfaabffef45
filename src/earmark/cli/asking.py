"""Asking for a command: into the queue, then wait for its end or not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from earmark.cli.documents import task_document
from earmark.cli.exits import Exit
from earmark.cli.output import print_json
from earmark.cli.waiting import report, wait_for
from earmark.domain.command import Command
from earmark.domain.errors import CommitUnknown
from earmark.domain.ids import new_id
from earmark.domain.task import Task
from earmark.engine.browse import face
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine

F = TypeVar("F", bound=Callable[..., Any])

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Stop waiting then (exit 124); the task goes on.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
)
detach_option = click.option(
    "--wait/--detach",
    "wait",
    default=True,
    help="Wait for the end (default), or print the task's id and go.",
)


@dataclass(frozen=True, slots=True)
class How:
    """What to do once the command is queued."""

    wait: bool = True
    timeout: float | None = None
    as_json: bool = False


def asks(function: F) -> F:
    """Give a click command the options of `How`."""
    for option in (json_option, timeout_option, detach_option):
        function = option(function)
    return function


def ask(engine: Engine, command: Command[Any], how: How) -> Exit:
    """Queue the command; wait for its end unless told not to."""
    return answer(engine, submit(engine, command), how)


def answer(engine: Engine, task: Task, how: How) -> Exit:
    """Wait for the end of what was asked for, or print its id."""
    if how.wait:
        return report(wait_for(engine, task.id, how.timeout), as_json=how.as_json)
    if how.as_json:
        print_json(task_document(engine.read(lambda tx: face(tx, task))))
    else:
        click.echo(task.id)
    return Exit.OK


def submit(engine: Engine, command: Command[Any]) -> Task:
    """Queue the command once, even when the database's answer was lost (rule 20)."""
    key = new_id()
    try:
        return transact(engine, lambda tx: command.enqueue(tx, key=key))
    except CommitUnknown:
        return transact(engine, lambda tx: command.enqueue(tx, key=key))
