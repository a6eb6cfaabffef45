"""Commands over REST: which there are, and asking for one."""

import inspect
from typing import Any

from fastapi import APIRouter, Request, Response

from earmark.domain.command import Command
from earmark.engine import describe
from earmark.web.api.asking import IdempotencyKey, Prefer, enqueue
from earmark.web.api.documents import CommandOut, OneTaskOut
from earmark.web.site import site_of

router = APIRouter(prefix="/commands", tags=["commands"])


@router.get("")
def list_commands(request: Request) -> list[CommandOut]:
    """Every command, with the JSON Schema of its parameters."""
    return [_document(command) for command in site_of(request).engine.commands]


@router.post("/{name}", response_model=OneTaskOut, status_code=202)
async def run_command(
    request: Request,
    name: str,
    parameters: dict[str, Any],
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a command: 202 with its task, or 200 with the end (`Prefer: wait=N`)."""
    site = site_of(request)
    command = describe.build(site.engine.commands.newest(name), parameters)
    return await enqueue(site, lambda tx: command, idempotency_key, prefer)


def _document(command: type[Command[Any]]) -> CommandOut:
    return CommandOut(
        name=command.__name__,
        title=command.title,
        version=command.version,
        description=inspect.cleandoc(command.__doc__ or ""),
        parameters=command.model_json_schema(),
    )
