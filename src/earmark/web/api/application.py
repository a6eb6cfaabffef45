"""The API's application; mounted under `/api/v1`."""

from fastapi import FastAPI

from earmark.web.api import (
    commands,
    deciding,
    inventory,
    notifications,
    orphans,
    tasks,
)
from earmark.web.api.documents import Problem
from earmark.web.api.problems import answer_errors
from earmark.web.site import Site, release

_PROBLEM = {
    "model": Problem,
    "description": "What was wrong, and what to do about it",
    "content": {"application/problem+json": {}},
}


def create_api(site: Site) -> FastAPI:
    """Make the API around the same parts as the pages have."""
    api = FastAPI(
        title="Earmark",
        summary="Durable commands for systems you do not control.",
        version=release(),
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": _PROBLEM, "422": _PROBLEM, "503": _PROBLEM},
    )
    api.state.site = site
    for part in (tasks, deciding, commands, inventory, notifications, orphans):
        api.include_router(part.router)
    answer_errors(api)
    return api
