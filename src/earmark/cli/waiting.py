"""Waiting for a task in a terminal: progress on stderr, on a TTY only; Ctrl-C stops
the wait and never the task."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from earmark.cli import exits
from earmark.cli.documents import task_document
from earmark.cli.exits import Exit
from earmark.cli.output import print_json, say
from earmark.domain.states import TaskState
from earmark.engine.browse import TaskFace, face
from earmark.engine.runtime import Engine
from earmark.engine.wait import follow
from earmark.store import tasks
from earmark.store.database import Transaction
from earmark.store.schema import tasks as task_table

#: What a task waits for is looked at so often, though the task itself has not changed.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as it is now, and the part of it that needs a person, if one does."""

    task: TaskFace
    held: TaskFace | None

    @property
    def over(self) -> bool:
        """True when waiting longer changes nothing."""
        return self.task.outcome is not None or self.held is not None


class Detached(Exception):
    """Ctrl-C during a wait; the task goes on."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id


def wait_for(engine: Engine, task_id: str, timeout: float | None) -> Seen:
    """Wait until the task is over or `timeout` seconds are; show progress meanwhile.

    Raises `UnknownName`, and `Detached` on Ctrl-C.
    """
    try:
        seen = None
        with _progress() as show:
            for seen in _looks(engine, task_id, timeout):
                show(seen)
    except KeyboardInterrupt:
        raise Detached(task_id) from None
    assert seen is not None, "the first look comes at once"
    return seen


def _looks(engine: Engine, task_id: str, timeout: float | None) -> Iterator[Seen]:
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _LOOK_SECONDS
        if end is not None:
            left = max(0.0, min(left, end - time.monotonic()))
        for _ in follow(engine, task_id, left):
            seen = engine.read(lambda tx: _look(tx, task_id))
            yield seen
            if seen.over:
                return
        if end is not None and time.monotonic() >= end:
            return


def _look(tx: Transaction, task_id: str) -> Seen:
    task = tasks.get(tx, task_id)
    held = None
    if task.state is TaskState.HELD:
        held = task
    elif task.is_root and not task.done:
        query = sa.select(task_table.c.id).where(
            task_table.c.root_id == task_id, task_table.c.state == TaskState.HELD
        )
        part = tx.execute(query.limit(1)).scalar_one_or_none()
        held = tasks.get(tx, part) if part else None
    return Seen(face(tx, task), face(tx, held) if held else None)


@contextmanager
def _progress() -> "Iterator[Show]":
    if not sys.stderr.isatty():
        yield Show(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[reason]}", style="dim", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        yield Show(progress)


class Show:
    """Shows how a task stands, when there is a terminal to show it on."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=100, reason="") if progress else None

    def __call__(self, seen: Seen) -> None:
        """Bring the bar up to date."""
        if self._progress is None or self._bar is None:
            return
        task = seen.task
        reason = task.waiting_for.text if task.waiting_for else task.message
        self._progress.update(
            self._bar,
            description=task.title,
            completed=task.progress,
            reason=f"waiting: {reason}" if task.waiting_for else reason,
        )


def report(seen: Seen, *, as_json: bool) -> Exit:
    """Say how the wait ended, and return the exit code that says the same."""
    code = exits.of_wait(seen.task, seen.held)
    task = seen.task
    if as_json:
        print_json(task_document(task))
    elif code is Exit.OK:
        print(_good(task))
    if code is Exit.TIMED_OUT:
        reason = f", waiting: {task.waiting_for.text}" if task.waiting_for else ""
        say(f"Timed out; the task goes on{reason}. `earmark tasks wait {task.id}`")
    elif code is Exit.NEEDS_A_PERSON:
        part = seen.held or task
        say(f"{part.title} needs a person: {part.message}")
        say(f"See `earmark tasks show {part.id}`.")
    elif code is not Exit.OK:
        say(f"{task.title} {task.outcome}: {task.message}")
        if not as_json:
            say(f"See `earmark tasks logs {task.id}`.")
    return code


def _good(task: TaskFace) -> str:
    said = task.message or task.outcome
    if not task.message and isinstance(task.result, str) and task.result:
        said = f"{task.outcome}, {task.result}"
    return f"{task.title}: {said}"
