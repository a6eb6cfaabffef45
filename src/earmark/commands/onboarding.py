"""Onboarding: from a verified form to a provider in the inventory."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from earmark.commands.credentials import VerifyCredentials
from earmark.commands.refresh import RefreshProvider
from earmark.domain.errors import BadInput, NameTaken, UnknownName
from earmark.domain.ids import new_id
from earmark.domain.inventory import Provider
from earmark.domain.secret import Secret
from earmark.domain.validation import said
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.store import inventory, secrets


def checked_request(
    tx: EngineTx,
    *,
    name: str,
    kind: str,
    zone: str,
    settings: Mapping[str, Any],
    secret_values: Mapping[str, str],
) -> VerifyCredentials:
    """The command that verifies this form, before anything is asked of anybody.

    Raises `BadInput` whose `fields` name every bad field, `UnknownName` for kind or
    zone, `NameTaken`.
    """
    fields: dict[str, str] = {}
    if not name.strip():
        fields["name"] = "is missing"
    values = check_settings(tx.engine, kind, settings, fields)
    wanted = tx.engine.connector(kind).secrets
    fields |= {n: "is missing" for n in wanted if not secret_values.get(n)}
    fields |= {
        n: "is not a secret of this kind" for n in secret_values if n not in wanted
    }
    if fields:
        problems = "; ".join(f"{field}: {text}" for field, text in fields.items())
        raise BadInput(f"{kind}: {problems}", fields=fields)
    inventory.check_zone(tx.store, zone)
    refuse_taken(tx, name)
    clear = {n: Secret(value) for n, value in secret_values.items()}
    return VerifyCredentials(
        name=name, kind=kind, zone=zone, settings=values, secrets=clear
    )


def check_settings(
    engine: Engine, kind: str, settings: Mapping[str, Any], fields: dict[str, str]
) -> dict[str, Any]:
    """Settings as their model reads them; what is wrong goes into `fields`."""
    try:
        model = engine.connector(kind).settings.model_validate(dict(settings))
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"]) or "settings"
            fields[where] = said(problem, unknown="is no setting of this kind")
        return dict(settings)
    return model.model_dump(mode="json")


def refuse_taken(tx: EngineTx, name: str) -> None:
    """Raise `NameTaken` when a provider has that name (or id) already."""
    try:
        inventory.provider(tx.store, name)
    except UnknownName:
        return
    raise NameTaken(
        f"There is a provider named {name!r} already.",
        hint="Choose another name.",
        fields={"name": "is taken"},
    )


def seal_all(tx: EngineTx, values: Mapping[str, str]) -> dict[str, str]:
    """Seal secrets that no task owns; returns name → id of the sealed row."""
    ids = {}
    for name, value in values.items():
        ids[name] = new_id()
        box = tx.engine.vault.seal(value, ids[name])
        secrets.insert(tx.store, ids[name], box, None)
    return ids


def add_provider(
    tx: EngineTx,
    *,
    name: str,
    kind: str,
    zone: str,
    settings: Mapping[str, Any],
    secret_ids: Mapping[str, str],
) -> Provider:
    """Save a verified provider, which owns its sealed secrets from now on, and queue
    its first refresh. Raises `NameTaken`; then nothing was written."""
    refuse_taken(tx, name)
    provider = Provider(
        id=new_id(),
        name=name,
        kind=kind,
        zone=zone,
        settings=dict(settings),
        secrets=dict(secret_ids),
    )
    inventory.add_provider(tx.store, provider)
    RefreshProvider(provider=provider.id).enqueue(tx)
    return inventory.provider(tx.store, provider.id)
