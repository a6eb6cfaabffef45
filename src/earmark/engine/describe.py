"""From a command to the row of its task: references resolved, secrets sealed, the
title filled in, the provider, zone and object found."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from earmark.domain.command import Command
from earmark.domain.errors import BadInput
from earmark.domain.refs import ObjectRef
from earmark.domain.secret import REFERENCE, Secret
from earmark.domain.task import DEFAULT_ZONE, Task
from earmark.domain.validation import said
from earmark.engine.authored import storable
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx, Names
from earmark.store import inventory, orphans

NORMAL_PRIORITY = 100
#: How many of many objects a title names.
NAMED = 3


def build(command: type[Command[Any]], values: Mapping[str, Any]) -> Command[Any]:
    """Make a command of loose values; raises `BadInput` that names each bad field."""
    try:
        return command.model_validate(dict(values))
    except ValidationError as error:
        fields = {
            ".".join(str(part) for part in problem["loc"]) or "parameters": said(
                problem, unknown="is not a parameter of this command"
            )
            for problem in error.errors()
        }
        lines = "; ".join(f"{name}: {text}" for name, text in fields.items())
        raise BadInput(f"{command.__name__}: {lines}", fields=fields) from None


def load(engine: Engine, task: Task) -> Command[Any]:
    """The command of a task; raises `BadInput` for parameters it cannot read."""
    kind = engine.commands.get(task.command, task.command_version)
    if kind is None:
        raise BadInput(
            f"This process does not know {task.command} "
            f"in version {task.command_version}.",
        )
    return build(kind, task.params)


def references(command: Command[Any]) -> dict[str, str]:
    """Field → kind of object, for every reference field that is set."""
    found = {}
    for name, field in type(command).model_fields.items():
        kinds = [m.kind for m in field.metadata if isinstance(m, ObjectRef)]
        if kinds and getattr(command, name) is not None:
            found[name] = kinds[0]
    return found


def many_references(command: Command[Any]) -> dict[str, str]:
    """Field → kind of object, for every field that is a list or tuple of references."""
    found = {}
    for name, field in type(command).model_fields.items():
        for item in get_args(field.annotation):
            kinds = [m.kind for m in get_args(item)[1:] if isinstance(m, ObjectRef)]
            if kinds and isinstance(getattr(command, name), (list, tuple)):
                found[name] = kinds[0]
    return found


def resolve(names: Names, command: Command[Any]) -> Command[Any]:
    """The same command with ids in place of names; raises `UnknownName`, and `BadInput`
    for text that not both stores can keep."""
    _refuse_unstorable(command)
    ids: dict[str, Any] = {
        name: names.id_of(kind, getattr(command, name))
        for name, kind in references(command).items()
    }
    for name, kind in many_references(command).items():
        named = getattr(command, name)
        ids[name] = type(named)(names.id_of(kind, one) for one in named)
    return command.model_copy(update=ids)


def _refuse_unstorable(command: Command[Any]) -> None:
    for name in type(command).model_fields:
        if not all(storable(text) for text in _texts(getattr(command, name))):
            raise BadInput(
                f"“{name}” holds a NUL or half of a sign, which is no text.",
                hint="Leave it out.",
                fields={name: "is no text"},
            )


def _texts(value: Any) -> Iterator[str]:
    """All the text in a field's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Secret):
        yield value.clear if value.sealed_id is None else ""
    elif isinstance(value, BaseModel):
        yield from _texts(value.model_dump())
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        for one in value:
            yield from _texts(one)


def _listed(known: Names, kind: str, ids: Sequence[str]) -> str:
    """Several objects in a title: the first few by name, and how many more."""
    names = [known.name_of(kind, one) for one in ids[:NAMED]]
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(names) + more


def names_secrets(params: Mapping[str, Any]) -> bool:
    """True when stored parameters refer to a sealed secret, however deep."""
    return f'"{REFERENCE}"' in json.dumps(params)


def row(
    tx: EngineTx,
    known: Names,
    command: Command[Any],
    *,
    task_id: str,
    owner: str,
    priority: int,
    key: str = "",
    weight: int = 1,
    root_id: str | None = None,
    parent_id: str | None = None,
) -> dict[str, Any]:
    """The columns of a new task that come from its (resolved, sealed) command."""
    refs = references(command)
    provider_id = _provider(tx, command, refs)
    names = {
        name: known.name_of(kind, getattr(command, name)) for name, kind in refs.items()
    } | {
        name: _listed(known, kind, getattr(command, name))
        for name, kind in many_references(command).items()
    }
    shown = {name: getattr(command, name) for name in type(command).model_fields}
    subject = next((n for n, kind in refs.items() if kind != "provider"), None)
    subject = subject or next(iter(refs), None)
    zone, start = command.runs_in(tx), command.deadlines.start
    may_wait = parent_id is None and start is not None
    if provider_id is not None:
        zone = known.provider(provider_id).zone
    return {
        "id": task_id,
        "root_id": root_id or task_id,
        "parent_id": parent_id,
        "key": key,
        "command": type(command).__name__,
        "command_version": command.version,
        "params": command.model_dump(mode="json"),
        "title": command.title.format(**(shown | names)),
        "object_kind": refs[subject] if subject else None,
        "object_id": getattr(command, subject) if subject else None,
        "provider_id": provider_id,
        "owner": owner,
        "zone": known.zone(zone or DEFAULT_ZONE),
        "role": command.role,
        "priority": priority,
        "weight": weight,
        "pending": 0,
        "on_restart": command.on_restart,
        "start_by": tx.now + timedelta(seconds=start or 0) if may_wait else None,
    }


def _provider(tx: EngineTx, command: Command[Any], refs: dict[str, str]) -> str | None:
    """The provider that the command names, or where its VM, template or orphan is."""
    for name, kind in refs.items():
        if kind == "provider":
            return str(getattr(command, name))
    for name, kind in refs.items():
        if kind == "vm":
            return inventory.vm(tx.store, getattr(command, name)).provider_id
        if kind == "template":
            return inventory.template(tx.store, getattr(command, name)).provider_id
        if kind == "orphan":
            return orphans.find(tx.store, getattr(command, name)).provider_id
    return None
