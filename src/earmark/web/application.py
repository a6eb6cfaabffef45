"""The web application: every route, behind one guard."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from earmark.domain.errors import EarmarkError
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.web import faults
from earmark.web.api.application import create_api
from earmark.web.consoles.meetings import Meetings
from earmark.web.guard import Guard
from earmark.web.live.watcher import Watcher
from earmark.web.pages import ErrorPage
from earmark.web.reading.tasks import refs
from earmark.web.routes import (
    bulk,
    consoles,
    deciding,
    logs,
    notifications,
    orphans,
    providers,
    rest,
    tasks,
    tenants,
    vms,
    waits,
)
from earmark.web.site import Site, bare_shell, html, show, site_of
from earmark.web.views import Ref


def create_app(
    engine: Engine, settings: Settings, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """Put the pages, the streams and the API around an engine.

    `more` are routes of one's own, behind the same guard; `site_of(request)` of
    `web.site` is at hand in them.
    The watcher is at `app.state.site.watcher`; close it before the server ends, so
    that open streams end too.
    """
    site = Site(engine, settings, Watcher(engine), Meetings(engine))
    api = create_api(site)
    app = Starlette(
        routes=[
            *vms.ROUTES,
            *consoles.ROUTES,
            *waits.ROUTES,
            *bulk.ROUTES,
            *tasks.ROUTES,
            *deciding.ROUTES,
            *logs.ROUTES,
            *providers.ROUTES,
            *tenants.ROUTES,
            *orphans.ROUTES,
            *notifications.ROUTES,
            *rest.ROUTES,
            Mount("/api/v1", api),
            *more,
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={
            EarmarkError: _known_error,
            HTTPException: _http_error,
            Exception: _unknown_error,
        },
    )
    app.state.site = site
    return app


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EarmarkError)
    return await _error(request, faults.status_of(error), str(error), error.hint)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = "No page has this address." if error.status_code == 404 else error.detail
    response = await _error(request, error.status_code, text)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _unknown_error(request: Request, error: Exception) -> Response:
    return await _error(request, 500, "The request ran into an error of Earmark's own.")


def _show_error(request: Request, page: ErrorPage) -> Response:
    return show(request, replace(page, back=_back(request)), page.status)


def _back(request: Request) -> Ref | None:
    """What was asked for something that cannot be, if it is there."""
    task, orphan = (request.path_params.get(it) for it in ("task", "orphan"))
    if orphan is not None:
        return Ref("orphans", "", "All orphans", "/orphans")
    if task is None or request.url.path == f"/tasks/{task}":
        return None
    found = site_of(request).read(lambda tx: refs(tx, [task]))
    return replace(found[task], name="Back to the task") if task in found else None


async def _error(
    request: Request, status: int, text: str, advice: str = ""
) -> Response:
    page = ErrorPage(
        status=status,
        title=faults.title_of(status),
        text=text,
        advice=advice or faults.advice_of(status),
    )
    try:
        return await run_in_threadpool(_show_error, request, page)
    except EarmarkError:  # the database itself is what failed
        return html(page, bare_shell(), status)
