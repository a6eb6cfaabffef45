"""The lab's controls, under /lab: its health, its ledger and its faults.

They take no password: they belong to whoever runs the simulation, on its own host.
"""

import os
from collections.abc import Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earmark.lab import ledger, rules
from earmark.lab.call import read_json, respond
from earmark.lab.faults import FAULTS
from earmark.lab.model import Refused, error_reply
from earmark.lab.site import Site

Handler = Callable[[Site, Request], Response]


def routes(site: Site) -> list[Route]:
    """Return the routes of the controls for one site."""

    def route(path: str, method: str, handler: Handler) -> Route:
        # Async, though nothing is awaited: only the event loop's thread may touch
        # the site, and Starlette runs plain functions in others.
        async def endpoint(request: Request) -> Response:
            return handler(site, request)

        return Route(path, endpoint, methods=[method])

    async def add_fault(request: Request) -> Response:
        order = await read_json(request)
        try:
            if order is None:
                raise Refused(400, "bad-request", "the body must be a JSON object")
            rule = rules.add(site, order, frozenset(FAULTS))
        except Refused as refusal:
            return respond(error_reply(refusal.status, refusal.code, refusal.message))
        return JSONResponse({"id": rule}, 201)

    return [
        route("/lab", "GET", _health),
        route("/lab/ledger", "GET", _read_ledger),
        route("/lab/ledger", "DELETE", _clear_ledger),
        route("/lab/faults", "GET", _list_faults),
        Route("/lab/faults", add_fault, methods=["POST"]),
        route("/lab/faults", "DELETE", _remove_faults),
        route("/lab/faults/{rule:int}", "DELETE", _remove_faults),
    ]


def _health(site: Site, request: Request) -> Response:
    return JSONResponse({"ok": True, "pid": os.getpid()})


def _read_ledger(site: Site, request: Request) -> Response:
    return JSONResponse(ledger.read(site))


def _clear_ledger(site: Site, request: Request) -> Response:
    ledger.clear(site)
    return Response(status_code=204)


def _list_faults(site: Site, request: Request) -> Response:
    return JSONResponse({"faults": [asdict(rule) for rule in rules.listed(site)]})


def _remove_faults(site: Site, request: Request) -> Response:
    rules.remove(site, request.path_params.get("rule"))
    return Response(status_code=204)
