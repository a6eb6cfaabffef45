"""Flags from a command's schema, and the command from its flags."""

import json
from collections.abc import Mapping
from typing import Any

import click

from earmark.cli.secret_input import read_secrets
from earmark.domain.command import Command
from earmark.domain.errors import BadInput
from earmark.engine.describe import build

#: Flags of our own; a parameter of the same name gets `--param-` before its own.
_TAKEN = {"wait", "detach", "timeout", "json", "json-params", "help"}

Schema = Mapping[str, Any]


class Parameters:
    """The parameters of one command, as its JSON schema describes them."""

    def __init__(self, command: type[Command[Any]]) -> None:
        self._command = command
        whole = command.model_json_schema()
        definitions = whole.get("$defs", {})
        required = set(whole.get("required", ()))
        self._parameters = [
            _Parameter(name, _resolved(schema, definitions), name in required)
            for name, schema in whole.get("properties", {}).items()
        ]

    def options(self) -> list[click.Parameter]:
        """A click option for each parameter that may stand on a command line."""
        made = (parameter.option() for parameter in self._parameters)
        return [option for option in made if option is not None]

    def command(self, given: Mapping[str, Any], json_params: str) -> Command[Any]:
        """The command; asks for its secrets. Raises `BadInput` for each bad field."""
        values = self._from_json(json_params)
        for parameter in self._parameters:
            found = parameter.value(given.get(parameter.variable))
            if found is not None:
                values[parameter.name] = found
        self._refuse_missing(values)
        for parameter in self._parameters:
            if parameter.secret and (parameter.required or parameter.keys(given)):
                values[parameter.name] = parameter.read_secret(given)
        return build(self._command, values)

    def _from_json(self, text: str) -> dict[str, Any]:
        if not text:
            return {}
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"--json-params is not JSON: {error}.") from None
        if not isinstance(values, dict):
            raise BadInput('--json-params must be an object: \'{"vm": "web01"}\'.')
        for parameter in self._parameters:
            if parameter.secret and parameter.name in values:
                raise BadInput(
                    f"{parameter.name} is a secret and never an argument.",
                    hint="You are asked for it; or give it as a line of stdin.",
                )
        return values

    def _refuse_missing(self, values: Mapping[str, Any]) -> None:
        """Say what is missing before anybody types a secret."""
        missing = [p for p in self._parameters if p.required and p.name not in values]
        flags = ", ".join(p.flag for p in missing if not p.secret)
        if flags:
            raise BadInput(
                f"{self._command.__name__} needs {flags}.",
                hint=f"See `earmark run {self._command.__name__} --help`.",
                fields={p.name: "is missing" for p in missing if not p.secret},
            )


class _Parameter:
    """One parameter and its flag."""

    def __init__(self, name: str, schema: Schema, required: bool) -> None:
        self.name = name
        self.variable = f"param_{name}"
        self.required = required
        self._schema = schema
        word = name.replace("_", "-")
        self.flag = f"--param-{word}" if word in _TAKEN else f"--{word}"
        self._one_secret = bool(schema.get("writeOnly"))
        extra = schema.get("additionalProperties")
        self._many_secrets = isinstance(extra, dict) and bool(extra.get("writeOnly"))

    @property
    def secret(self) -> bool:
        """True when its value must not stand on a command line."""
        return self._one_secret or self._many_secrets

    def option(self) -> click.Option | None:
        """The flag; None for a secret, which is asked for."""
        help_text = self._help()
        if self._one_secret:
            if self.required:
                return None
            return click.Option(
                [self.flag, self.variable],
                is_flag=True,
                help=f"Ask for this secret. {help_text}".strip(),
            )
        kind = self._schema.get("type")
        if kind == "boolean":
            off = f"--no-{self.flag.removeprefix('--')}"
            names = [f"{self.flag}/{off}", self.variable]
            return click.Option(names, default=None, help=help_text)
        return click.Option(
            [self.flag, self.variable],
            multiple=kind == "array" or self._many_secrets,
            metavar=self._metavar(),
            help=help_text,
        )

    def _metavar(self) -> str:
        if self._many_secrets:
            return "NAME"
        if self._schema.get("type") == "object":
            return "JSON"
        return str(self._schema.get("type", "value")).upper().replace("STRING", "TEXT")

    def _help(self) -> str:
        said = str(self._schema.get("description", ""))
        if self._many_secrets:
            said = "A secret to ask for; may be repeated."
        choices = self._schema.get("enum")
        if choices:
            said = f"{said} One of {', '.join(map(str, choices))}.".strip()
        if self.required:
            return f"{said} (required)".strip()
        default = self._schema.get("default")
        return f"{said} (default {default})".strip() if default else said

    def value(self, given: Any) -> Any:
        """What the model is to read; None when the flag was not given."""
        if self.secret or given is None or given == ():
            return None
        kind = self._schema.get("type")
        if kind == "array":
            return [self._parsed(item, self._schema.get("items", {})) for item in given]
        return self._parsed(given, self._schema)

    def _parsed(self, text: Any, schema: Schema) -> Any:
        if schema.get("type") not in ("object", "array") or not isinstance(text, str):
            return text
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"{self.flag} is not JSON: {error}.") from None

    def keys(self, given: Mapping[str, Any]) -> Any:
        """What the flag said about secrets to ask for."""
        return given.get(self.variable)

    def read_secret(self, given: Mapping[str, Any]) -> Any:
        """Ask for the secret, or for each of the named ones."""
        if self._one_secret:
            return read_secrets({}, [self.name])[self.name]
        return read_secrets({}, self.keys(given) or ())


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema of a value that is there: references followed, null left out."""
    outer = {k: v for k, v in schema.items() if k not in ("$ref", "anyOf")}
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return dict(definitions[name]) | outer
    choices = [c for c in schema.get("anyOf", ()) if c.get("type") != "null"]
    if choices:
        return dict(_resolved(choices[0], definitions)) | outer
    return schema
