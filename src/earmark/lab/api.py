"""The site's own API, under /api: what a provider would offer.

Every request passes one gate: it is written down, meets the faults that are set for
it, is handled, and its outcome is written down before a byte of the answer leaves.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.lab import faults, ledger, rules, views
from earmark.lab.call import Call, Ending, Operation, read_json, respond
from earmark.lab.consoles import Consoles
from earmark.lab.model import Json, Refused, error_reply
from earmark.lab.site import Site

VERSION = "1"
"""The version of this API; not the version of the program."""


def _about(call: Call) -> Json:
    return {
        "product": "Earmark lab (simulated)",
        "site": call.site.config.site_name,
        "version": VERSION,
    }


def _tasks(call: Call) -> Json:
    query = call.request.query_params
    ids = query["ids"].split(",") if "ids" in query else None
    lag = call.shape.lag_seconds
    return {"tasks": views.tasks(call.site, lag, query.get("token"), ids)}


def _console(call: Call) -> Json:
    consoles = call.request.app.state.consoles
    assert isinstance(consoles, Consoles)
    return consoles.ticket(_parameter(call, "vm"))


def _nothing(call: Call) -> Json:
    raise Refused(404, "not-found", "the API has no such operation")


def _parameter(call: Call, name: str) -> str:
    value: Any = call.request.path_params[name]
    return str(value)


OPERATIONS = (
    Operation("GET", "/api/about", answer=_about),
    Operation(
        "GET",
        "/api/vms",
        answer=lambda call: {"vms": views.vms(call.site, call.shape.lag_seconds)},
    ),
    Operation(
        "GET",
        "/api/vms/{vm}",
        answer=lambda call: views.vm(call.site, _parameter(call, "vm")),
    ),
    Operation("POST", "/api/vms/{vm}/start", "vm.start"),
    Operation("POST", "/api/vms/{vm}/stop", "vm.stop"),
    Operation("POST", "/api/vms/{vm}/shutdown", "vm.shutdown"),
    Operation("POST", "/api/vms/{vm}/console", answer=_console),
    Operation("DELETE", "/api/vms/{vm}", "vm.delete"),
    Operation(
        "POST", "/api/vms/{vm}/disks/{disk}/switch", "disk.switch", {"image": str}
    ),
    Operation("POST", "/api/vms/{vm}/snapshots", "snapshot.create", {"name": str}),
    Operation(
        "GET",
        "/api/snapshots",
        answer=lambda call: {
            "snapshots": views.snapshots(call.site, call.shape.lag_seconds)
        },
    ),
    Operation(
        "GET",
        "/api/images",
        answer=lambda call: {"images": views.images(call.site, call.shape.lag_seconds)},
    ),
    Operation(
        "GET",
        "/api/images/{image}",
        answer=lambda call: views.image(call.site, _parameter(call, "image")),
    ),
    Operation(
        "POST",
        "/api/images/copy",
        "image.copy",
        {"image": str, "domain": str, "alias": str},
    ),
    Operation("DELETE", "/api/images/{image}", "image.delete"),
    Operation(
        "GET",
        "/api/templates",
        answer=lambda call: {
            "templates": views.templates(call.site, call.shape.lag_seconds)
        },
    ),
    Operation(
        "GET",
        "/api/templates/{template}",
        answer=lambda call: views.template(call.site, _parameter(call, "template")),
    ),
    Operation(
        "POST",
        "/api/templates",
        "template.create",
        {"name": str, "vm": str, "images": list},
    ),
    Operation("DELETE", "/api/templates/{template}", "template.delete"),
    Operation(
        "GET",
        "/api/tenants",
        answer=lambda call: {
            "tenants": views.tenants(call.site, call.shape.lag_seconds)
        },
    ),
    Operation(
        "POST",
        "/api/tenants",
        "tenant.create",
        {"name": str},
        optional={"description": ""},
    ),
    Operation(
        "GET",
        "/api/tenants/{tenant}",
        answer=lambda call: views.tenant(call.site, _parameter(call, "tenant")),
    ),
    Operation("DELETE", "/api/tenants/{tenant}", "tenant.delete"),
    Operation(
        "GET",
        "/api/snapshots/{snapshot}",
        answer=lambda call: views.snapshot(call.site, _parameter(call, "snapshot")),
    ),
    Operation("DELETE", "/api/snapshots/{snapshot}", "snapshot.delete"),
    Operation("GET", "/api/tasks", answer=_tasks),
    Operation(
        "GET",
        "/api/tasks/{task}",
        answer=lambda call: views.task(call.site, _parameter(call, "task")),
    ),
    Operation("POST", "/api/tasks/{task}/stop", "task.stop"),
    Operation("POST", "/api/tasks/{task}/revert", "task.revert"),
    Operation("POST", "/api/tasks/{task}/clear", "task.clear"),
)

UNKNOWN = Operation("*", "/api/{rest:path}", answer=_nothing)
"""Catches all the rest, so that these requests are in the ledger too."""


def routes(site: Site) -> list[Route]:
    """Return the routes of the API for one site."""
    known = [
        Route(
            operation.path,
            _endpoint(site, operation),
            methods=[operation.method],
        )
        for operation in OPERATIONS
    ]
    anything = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    rest = Route(UNKNOWN.path, _endpoint(site, UNKNOWN), methods=anything)
    return [*known, rest]


def _endpoint(
    site: Site, operation: Operation
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            call = Call(site, request, operation, await read_json(request))
            ending = await _through_the_gate(call)
        except ClientDisconnect:
            return respond(None)  # It never arrived in full.
        except asyncio.CancelledError:
            # The lab is told to go while this request waits. To the client that is
            # a provider that died, and the ledger says no more.
            return respond(None)
        status = None if ending.reply is None else ending.reply.status
        call.note(ending.outcome, status)
        return respond(ending.reply)

    return endpoint


async def _through_the_gate(call: Call) -> Ending:
    welcome = _authorised(call)
    verb = call.operation.verb
    path = call.request.url.path
    with call.site.transaction():
        call.seq = ledger.record_request(
            call.site, call.request.method, path, verb, call.token
        )
        # A stranger's request must not use up a fault that a test has set.
        met = rules.take(call.site, verb, faults.COMBINING) if welcome else []
    if not welcome:
        realm = {"WWW-Authenticate": 'Basic realm="lab"'}
        reply = error_reply(401, "unauthorised", "wrong name or password", realm)
        return Ending("refused", reply)
    return await faults.run(call, met)


def _authorised(call: Call) -> bool:
    config = call.site.config
    scheme, _, encoded = call.request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    expected = f"{config.username}:{config.password}".encode()
    return scheme.lower() == "basic" and hmac.compare_digest(given, expected)
