"""`earmark tasks logs`: what was written about a task while it ran."""

from typing import Any

import click

from earmark.cli.asking import json_option
from earmark.cli.documents import Document
from earmark.cli.finding import find
from earmark.cli.output import moment, print_json
from earmark.cli.session import Session, pass_session
from earmark.domain.errors import BadInput
from earmark.engine.runtime import Engine
from earmark.engine.wait import follow
from earmark.store import journal


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("-f", "--follow", "keep_on", is_flag=True, help="Go on until it ends.")
@click.option(
    "--grep", "words", metavar="WORDS", default="", help="Only lines with all of these."
)
@json_option
@pass_session
def logs(
    session: Session, task_id: str, keep_on: bool, words: str, as_json: bool
) -> None:
    """Print a task's log."""
    if keep_on and as_json:
        raise BadInput("--json prints one document: it does not go with --follow.")
    with session.engine() as engine:
        task = engine.read(lambda tx: find(tx, task_id))
        reader = _Reader(engine, task.id, words)
        if as_json:
            print_json([_document(line) for line in reader.new_lines()])
            return
        reader.print_new()
        if keep_on:
            for _ in follow(engine, task.id):
                reader.print_new()


class _Reader:
    """Reads a log piece by piece, and remembers how far it is."""

    def __init__(self, engine: Engine, task_id: str, words: str) -> None:
        self._engine = engine
        self._task_id = task_id
        self._words = words
        self._after = 0

    def new_lines(self) -> list[Any]:
        """Every line that has come since the last look."""
        found: list[Any] = []
        while piece := self._piece():
            found += piece
        return found

    def print_new(self) -> None:
        """Print what has come since the last look."""
        while piece := self._piece():
            for line in piece:
                level = "" if line.level == "info" else f"{line.level}: "
                click.echo(f"{moment(line.at, 'milliseconds')}  {level}{line.text}")

    def _piece(self) -> list[Any]:
        piece = list(
            self._engine.read(
                lambda tx: journal.lines(
                    tx, self._task_id, after=self._after, containing=self._words
                )
            )
        )
        if piece:
            self._after = piece[-1].number
        return piece


def _document(line: Any) -> Document:
    return {
        "number": line.number,
        "at": line.at,
        "level": line.level,
        "text": line.text,
    }
