"""Secrets from a person or a pipe: typed without echo, or one line of stdin each. Never
an argument, where every process of the host could read it."""

import sys
from collections.abc import Iterable, Mapping

import click

from earmark.domain.errors import BadInput


def read_secrets(labels: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Ask for each named secret, in order; raises `BadInput` when stdin runs dry."""
    return {name: _read(name, labels.get(name, name)) for name in names}


def _read(name: str, label: str) -> str:
    if sys.stdin.isatty():
        value: str = click.prompt(label, hide_input=True, err=True)
        return value
    line = sys.stdin.readline()
    if not line.rstrip("\r\n"):
        raise BadInput(
            f"The secret {name} is missing.",
            hint="Give each secret as one line of standard input, or use a terminal.",
            fields={name: "is missing"},
        )
    return line.rstrip("\r\n")
