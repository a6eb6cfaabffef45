"""One request on its way through the lab."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from earmark.lab import ledger, tasks
from earmark.lab.model import Command, Json, Refused, Reply, Shape
from earmark.lab.site import Site

MAX_BODY = 1 << 20
"""Largest body that is read, in bytes."""


@dataclass(frozen=True)
class Ending:
    """How a call ends: the ledger's word for it, and the reply.

    Without a reply the connection is cut.
    """

    outcome: str
    reply: Reply | None


@dataclass(frozen=True)
class Operation:
    """One thing the API can be asked for.

    A read has no ``verb`` and has an ``answer``. A change has a ``verb``, and
    ``fields`` names what its body must hold, with the type of each, and ``optional``
    the texts that it may hold, with what they are otherwise. ``path`` is in Starlette's
    notation; its parameters become the command's.
    """

    method: str
    path: str
    verb: str | None = None
    fields: Mapping[str, type] = field(default_factory=dict)
    answer: "Callable[[Call], Json] | None" = None
    optional: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """A request with all that faults and handlers want to know of it.

    ``body`` is None when it was not a JSON object. ``seq`` is the request's number
    in the ledger.
    """

    site: Site
    request: Request
    operation: Operation
    body: Json | None
    seq: int = 0
    shape: Shape = field(default_factory=Shape)

    @property
    def token(self) -> str | None:
        """The token the request carries, in its body or its query; None if none."""
        token = (self.body or {}).get("token", self.request.query_params.get("token"))
        return token if isinstance(token, str) else None

    def command(self) -> Command:
        """Return the change that is asked for; raise Refused (400) when malformed."""
        assert self.operation.verb is not None
        if self.body is None:
            raise Refused(400, "bad-request", "the body must be a JSON object")
        for name in ("token", "mark"):
            if not isinstance(self.body.get(name), (str, type(None))):
                raise Refused(400, "bad-request", f"{name} must be a string")
        params: dict[str, Any] = dict(self.request.path_params)
        for name, kind in self.operation.fields.items():
            value = self.body.get(name)
            if not isinstance(value, kind) or not value:
                raise Refused(400, "bad-request", f"{name} must be a {kind.__name__}")
            params[name] = value
        for name, otherwise in self.operation.optional.items():
            params[name] = self.body.get(name, otherwise)
            if not isinstance(params[name], str):
                raise Refused(400, "bad-request", f"{name} must be a str")
        return Command(self.operation.verb, params, self.token, self.body.get("mark"))

    async def handle(self) -> Ending:
        """Do what is asked, as the shape bends it; what is changed is durable then."""
        if self.operation.answer is not None:
            reply = Reply(200, self.operation.answer(self))
        else:
            reply = tasks.execute(self.site, self.command(), self.shape)
        return Ending("answered", reply)

    def note(self, outcome: str, status: int | None = None) -> None:
        """Write the outcome down now; for a call that will not end soon."""
        ledger.record_outcome(self.site, self.seq, outcome, status)

    async def client_gone(self, seconds: float | None) -> None:
        """Wait until the client hangs up, but no longer than ``seconds``."""

        async def hang_up() -> None:
            while (await self.request.receive())["type"] != "http.disconnect":
                pass

        try:
            await asyncio.wait_for(hang_up(), seconds)
        except TimeoutError:
            return


async def read_json(request: Request) -> Json | None:
    """Return the request's JSON object; {} for no body, None for anything else."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def respond(reply: Reply | None) -> Response:
    """Turn a reply into bytes; None into a connection that is cut without any."""
    if reply is None:
        return CutConnection()
    return JSONResponse(reply.body, reply.status, dict(reply.headers))


class CutConnection(Response):
    """No response at all: the connection is closed under the client.

    ASGI has no word for this: a server that gets no response sends a 500 of its
    own. So the lab's protocol class hands us the transport, and we close it and
    return only when the server has seen that it is gone.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the transport and wait until the server knows."""
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass
