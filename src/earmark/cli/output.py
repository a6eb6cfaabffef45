"""How things are printed: JSON for programs, tables for people, both on stdout; what
is said about them goes to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earmark.domain.errors import EarmarkError

_COLOURS = {
    "ok": "green",
    "on": "green",
    "live": "green",
    "warned": "yellow",
    "warning": "yellow",
    "held": "yellow bold",
    "in doubt": "yellow",
    "draining": "yellow",
    "silent": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
    "waiting": "cyan",
    "failed": "red",
    "expired": "red",
    "error": "red",
    "trouble": "red",
    "cancelled": "dim",
    "off": "dim",
    "stopped": "dim",
    "gone": "dim",
    "open": "yellow",
    "adopted": "green",
    "destroyed": "dim",
}


def say(line: str) -> None:
    """A line for people that is no part of the answer."""
    click.echo(line, err=True)


def complain(error: EarmarkError) -> None:
    """An error as one clear line, with what to do about it."""
    line = " ".join(f"{error} {error.hint}".split())
    say(click.style("error:", fg="red") + f" {line}")


def print_json(document: Any) -> None:
    """One JSON document; times as ISO 8601 in UTC."""
    click.echo(json.dumps(document, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value, "auto")
    return str(value)


def moment(at: datetime, precision: str = "seconds") -> str:
    """ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def age(at: datetime | None) -> str:
    """How long ago, in the one unit that matters."""
    if at is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def short(task_id: str) -> str:
    """An id as people see it: its end, by which it can be named, on a terminal."""
    return task_id[-8:] if sys.stdout.isatty() else task_id


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table: fitted to a terminal, or in plain full columns when piped."""
    filled = [tuple(row) for row in rows]
    if not filled:
        say("Nothing to show.")
    elif sys.stdout.isatty():
        _print_fitted(headings, filled)
    else:
        _print_plain([tuple(headings), *filled])


def _print_fitted(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_facts(facts: Mapping[str, str]) -> None:
    """What is known of one thing, a line each; empty facts are left out."""
    width = max(len(name) for name in facts)
    for name, fact in facts.items():
        if fact:
            lines = fact.split("\n")
            coloured = click.style(lines[0], **_click_style(lines[0]))
            click.echo(f"{name.ljust(width)}  {coloured}")
            for line in lines[1:]:
                click.echo(f"{' ' * width}  {line}")


def _click_style(cell: str) -> dict[str, Any]:
    words = _COLOURS.get(cell, "").split()
    style: dict[str, Any] = {word: True for word in words if word in ("dim", "bold")}
    colours = [word for word in words if word not in style]
    return style | ({"fg": colours[0]} if colours else {})
