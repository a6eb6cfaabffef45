"""Templates, workers, the stream, static files, and whether this process is well."""

from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from earmark.domain.errors import EarmarkError
from earmark.store.migrate import check_schema
from earmark.web.live.topics import PageTopic, parse
from earmark.web.pages import TemplatesPage, WorkersPage
from earmark.web.reading.machines import template_views
from earmark.web.reading.workers import zone_views
from earmark.web.rendering import STATIC
from earmark.web.site import Site, show, site_of, told


def templates(request: Request) -> Response:
    """Show all templates."""
    return show(request, TemplatesPage(site_of(request).read(template_views)))


def workers(request: Request) -> Response:
    """Show the zones and who works there."""
    return show(request, WorkersPage(site_of(request).read(zone_views)))


async def events(request: Request) -> Response:
    """Answer with the stream of what a page is about."""
    topics = parse(request.query_params.get("topics", ""))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    text = _events(site_of(request), topics)
    return StreamingResponse(text, headers=headers, media_type="text/event-stream")


async def _events(site: Site, topics: frozenset[PageTopic]) -> AsyncIterator[bytes]:
    with site.watcher.stream(topics) as stream:
        async for text in stream.read():
            yield text


async def healthz(request: Request) -> Response:
    """Say that this process is alive."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Say whether the database answers, with the schema of this code."""
    try:
        await run_in_threadpool(check_schema, site_of(request).engine.database)
    except EarmarkError as error:
        return PlainTextResponse(f"{told(error)}\n", 503)
    return PlainTextResponse("ready\n")


class Files(StaticFiles):
    """Static files. Pages name them by their content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file; kept for ever only when the address names its content."""
        if path.endswith(".md"):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


ROUTES = [
    Route("/templates", templates),
    Route("/workers", workers),
    Route("/events", events),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Mount("/static", Files(directory=STATIC)),
]
