"""Consoles: the page, its ticket, and the two streams that meet here.

Until there is a login, a browser is known by a cookie that its console's page has set:
random, for this site alone, and out of reach of scripts. A ticket is good only with it.
"""

import asyncio
import secrets

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from earmark.commands.console import issue_ticket
from earmark.commands.relay import Why
from earmark.domain.errors import EarmarkError
from earmark.web.consoles import stream as streaming
from earmark.web.consoles.page import ConsolePage
from earmark.web.faults import status_of
from earmark.web.reading import machines
from earmark.web.site import Site, show, site_of, told

COOKIE = "earmark-console"
_LONGEST_COOKIE = 64
_NO_SESSION = (
    "This browser has not opened the console's page, or has lost its cookie. "
    "Load the page again."
)


def console(request: Request) -> Response:
    """Show the page at once; it asks for the rest."""
    vm_id = request.path_params["vm"]
    vm = site_of(request).read(lambda tx: machines.vm_view(tx, vm_id))
    response = show(request, ConsolePage(vm))
    if not session_of(request):
        session = secrets.token_urlsafe(32)
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict")
    return response


async def ticket(request: Request) -> Response:
    """Give a ticket, in the answer's body alone."""
    return await run_in_threadpool(_ticket, request)


def _ticket(request: Request) -> Response:
    site, session = site_of(request), session_of(request)
    if not session:
        return _no(403, "no-session", _NO_SESSION)
    vm = request.path_params["vm"]
    try:
        given = site.transact(lambda tx: issue_ticket(tx, vm, session))
    except EarmarkError as error:
        return _no(status_of(error), error.code, told(error))
    body = {"console": given.console, "vm": given.vm, "ticket": given.secret}
    return JSONResponse(body, 201, {"Cache-Control": "no-store"})


def _no(status: int, code: str, text: str) -> Response:
    body = {"code": code, "text": text}
    return JSONResponse(body, status, {"Cache-Control": "no-store"})


async def stream(browser: WebSocket) -> None:
    """The browser's end."""
    console_id = browser.path_params["console"]
    await streaming.serve(_site(browser), browser, console_id, session_of(browser))


async def relay(worker: WebSocket) -> None:
    """The worker's end: let in by the secret of its task, once."""
    await worker.accept()
    try:
        async with asyncio.timeout(streaming.GREETING_SECONDS):
            secret = await worker.receive_text()
    except (TimeoutError, KeyError, WebSocketDisconnect):
        secret = ""
    meetings, console_id = _site(worker).consoles, worker.path_params["console"]
    meeting = meetings.find(console_id, secret)
    if meeting is None:
        await worker.close(Why.NOT_EXPECTED, "Nobody waits for this here.")
        return
    await worker.send_text("welcome")
    meeting.join(worker)
    await meeting.left.wait()
    try:
        await worker.close()
    except (WebSocketDisconnect, RuntimeError):
        return  # it was gone first


def session_of(connection: Request | WebSocket) -> str:
    """What the browser's cookie says; empty when it has none."""
    said = connection.cookies.get(COOKIE, "")
    return said if len(said) <= _LONGEST_COOKIE else ""


def _site(connection: WebSocket) -> Site:
    site = connection.app.state.site
    assert isinstance(site, Site)
    return site


ROUTES = [
    Route("/vms/{vm}/console", console),
    Route("/vms/{vm}/console/tickets", ticket, methods=["POST"]),
    WebSocketRoute("/consoles/{console}/stream", stream),
    WebSocketRoute("/consoles/{console}/relay", relay),
]
