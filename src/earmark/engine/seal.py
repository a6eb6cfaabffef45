"""Seal: clear secrets on their way into rows become rows of their own, and ids."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic import BaseModel

from earmark.domain.ids import new_id
from earmark.domain.secret import Secret
from earmark.engine.tx import EngineTx
from earmark.store import secrets


def seal(tx: EngineTx, value: Any, owner: str) -> Any:
    """The same value with every clear secret in it sealed, however deep.

    The rows are deleted when the task `owner` ends.
    """
    if isinstance(value, Secret):
        return value if value.sealed_id is not None else _row(tx, value, owner)
    if isinstance(value, BaseModel):
        names = list(type(value).model_fields)
        changed = _changed(tx, {name: getattr(value, name) for name in names}, owner)
        return value.model_copy(update=changed) if changed else value
    if is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in fields(value)]
        changed = _changed(tx, {name: getattr(value, name) for name in names}, owner)
        return replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        return (
            {**value, **changed} if (changed := _changed(tx, value, owner)) else value
        )
    if type(value) in (list, tuple):
        changed = _changed(tx, dict(enumerate(value)), owner)
        items = (changed.get(place, item) for place, item in enumerate(value))
        return type(value)(items) if changed else value
    return value


def _changed(tx: EngineTx, parts: Mapping[Any, Any], owner: str) -> dict[Any, Any]:
    sealed = {key: seal(tx, part, owner) for key, part in parts.items()}
    return {key: part for key, part in sealed.items() if part is not parts[key]}


def _row(tx: EngineTx, secret: Secret, owner: str) -> Secret:
    secret_id = new_id()
    box = tx.engine.vault.seal(secret.clear, secret_id)
    secrets.insert(tx.store, secret_id, box, owner)
    return Secret(sealed_id=secret_id)
