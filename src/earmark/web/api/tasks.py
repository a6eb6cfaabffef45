"""Tasks over REST."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response

from earmark.domain.task import Task
from earmark.engine import browse, narrow
from earmark.engine.narrow import FILTERS
from earmark.store import journal
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.api.asking import Prefer, ended, seconds_of
from earmark.web.api.documents import LogLineOut, OneTaskOut, TaskOut
from earmark.web.site import site_of

MOST = 500
_WHEN = "`2026-01-31`, or with a time, in UTC unless it says its zone"

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.get("")
def list_tasks(
    request: Request,
    response: Response,
    state: str = "",
    outcome: str = "",
    command: str = "",
    object: Annotated[str, Query(description="`KIND:ID`, or `KIND:NAME`")] = "",
    user: str = "",
    zone: str = "",
    since: Annotated[str, Query(description=f"Asked for then or later; {_WHEN}")] = "",
    until: Annotated[str, Query(description=f"Asked for by then; {_WHEN}")] = "",
    parent: str = "",
    q: Annotated[str, Query(description="Words of the title or the message")] = "",
    all: Annotated[bool, Query(description="Children too")] = False,
    needs_person: Annotated[bool, Query(description="Only held ones")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = browse.PAGE,
    cursor: Annotated[str, Query(description="Of the `Link` before")] = "",
) -> list[TaskOut]:
    """Tasks, the newest first; `Link: rel=next` leads to the older ones.

    Words are looked for in 20,000 tasks that fit the other filters: a short page with a
    `Link` is not the end.
    """
    words = {name: request.query_params.get(name, "") for name in FILTERS}
    needs = "me" if needs_person else ""
    which = replace(
        narrow.filter_of(words | {"needs": needs}),
        parent=parent,
        children_too=all,
        before=cursor,
    )

    def work(tx: Transaction) -> list[TaskOut]:
        listed = browse.page(tx, narrow.named(tx, which), limit)
        if listed.older:
            query = dict(request.query_params) | {"cursor": listed.older}
            address = f"{request.url.path}?{urlencode(query)}"
            response.headers["Link"] = f'<{address}>; rel="next"'
        return _documents(tx, listed.tasks)

    return site_of(request).read(work)


@router.get("/{task_id}")
async def get_task(
    request: Request,
    response: Response,
    task_id: str,
    prefer: Prefer = "",
    if_none_match: Annotated[str, Header()] = "",
) -> OneTaskOut:
    """One task, at once or when it is over (`Prefer: wait=N`)."""
    seconds = seconds_of(prefer)
    document = await ended(site_of(request), task_id, seconds)
    tag = f'W/"{document.version}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    if tag in (word.strip() for word in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)  # type: ignore[return-value]  # FastAPI sends it as it is
    response.headers.update(headers)
    return document


@router.get("/{task_id}/children")
def get_children(request: Request, task_id: str) -> list[TaskOut]:
    """The children of a task, in the order of its plan."""

    def work(tx: Transaction) -> list[TaskOut]:
        return _documents(tx, rows.children(tx, rows.get(tx, task_id).id))

    return site_of(request).read(work)


@router.get("/{task_id}/log")
def get_log(
    request: Request,
    task_id: str,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    q: Annotated[str, Query(description="Only lines with all these words")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[LogLineOut]:
    """Lines of a task's log with a number above `after`."""

    def work(tx: Transaction) -> list[LogLineOut]:
        rows.get(tx, task_id)
        lines = journal.lines(tx, task_id, after=after, containing=q, limit=limit)
        return [LogLineOut.model_validate(line) for line in lines]

    return site_of(request).read(work)


def _documents(tx: Transaction, listed: Sequence[Task]) -> list[TaskOut]:
    return [TaskOut.model_validate(face) for face in browse.faces(tx, listed)]
