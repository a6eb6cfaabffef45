"""The form of a new provider, made of its connector's settings model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from earmark.domain.connector import Connector
from earmark.domain.task import DEFAULT_ZONE
from earmark.web.pages import ProviderKind
from earmark.web.views import FormField


def kinds(connectors: Mapping[str, Connector]) -> tuple[ProviderKind, ...]:
    """List the kinds of provider that can be added."""
    return tuple(
        ProviderKind(kind, connectors[kind].title, _about(connectors[kind]))
        for kind in sorted(connectors)
    )


def _about(connector: Connector) -> str:
    lines = (connector.settings.__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""


def settings_fields(connector: Connector) -> tuple[str, ...]:
    """Name the settings that the form asks for."""
    return tuple(connector.settings.model_fields)


def provider_fields(
    connector: Connector,
    zones: Sequence[str],
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    kept: bool,
) -> tuple[FormField, ...]:
    """Make every field of the form.

    `values` are what was sent before, `errors` what was wrong with it; `kept` when the
    secrets of before are still there, sealed. A secret's value is never shown.
    """
    name = FormField("name", "Name", value=str(values.get("name") or ""))
    zone = FormField(
        "zone",
        "Zone",
        "select",
        help="Whose workers can reach it.",
        value=str(values.get("zone") or DEFAULT_ZONE),
        choices=tuple(zones),
    )
    schema = connector.settings.model_json_schema()
    settings = [
        _field(field, shape, field in schema.get("required", ()), values)
        for field, shape in schema["properties"].items()
    ]
    secrets = [
        FormField(secret, label, "password", kept=kept)
        for secret, label in connector.secrets.items()
    ]
    fields = (name, zone, *settings, *secrets)
    return tuple(_with_error(field, errors) for field in fields)


def _field(
    name: str, shape: Mapping[str, Any], required: bool, values: Mapping[str, Any]
) -> FormField:
    value = values.get(name, shape.get("default"))
    return FormField(
        name,
        str(shape.get("title", name)),
        _type(shape),
        required=required,
        help=shape.get("description"),
        value="" if value is None else str(value),
    )


def _type(shape: Mapping[str, Any]) -> Literal["text", "url", "number"]:
    shapes = [shape, *shape.get("anyOf", ())]
    if any(it.get("format") == "uri" for it in shapes):
        return "url"
    if any(it.get("type") in ("integer", "number") for it in shapes):
        return "number"
    return "text"


def _with_error(field: FormField, errors: Mapping[str, str]) -> FormField:
    error = errors.get(field.name)
    return replace(field, error=error) if error else field
