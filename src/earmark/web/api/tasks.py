"""Tasks over REST."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response

from earmark.domain.errors import BadInput
from earmark.domain.task import Task
from earmark.engine import browse
from earmark.store import inventory, journal
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.api.asking import Prefer, ended, seconds_of
from earmark.web.api.documents import LogLineOut, OneTaskOut, TaskOut
from earmark.web.reading import tasks as reading_tasks
from earmark.web.site import site_of

MOST = 500
_KINDS = ("vm", "provider", "template")

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
    parent: str = "",
    q: Annotated[str, Query(description="Words of the title")] = "",
    all: Annotated[bool, Query(description="Children too")] = False,
    needs_person: Annotated[bool, Query(description="Only held ones")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = browse.PAGE,
    cursor: Annotated[str, Query(description="Of the `Link` before")] = "",
) -> list[TaskOut]:
    """Tasks, the newest first; `Link: rel=next` leads to the older ones."""
    narrowed = {"state": state, "outcome": outcome, "command": command, "q": q}
    which = reading_tasks.filter_of(narrowed)

    def work(tx: Transaction) -> list[TaskOut]:
        kind, object_id = _object(tx, object)
        exact = reading_tasks.narrow(
            which,
            object_kind=kind,
            object_id=object_id,
            owner=user,
            parent=parent,
            children_too=all,
            needs_person=needs_person,
            before=cursor,
        )
        listed = browse.list_tasks(tx, exact, limit + 1)
        if len(listed) > limit:
            query = dict(request.query_params) | {"cursor": listed[limit - 1].id}
            address = f"{request.url.path}?{urlencode(query)}"
            response.headers["Link"] = f'<{address}>; rel="next"'
        return _documents(tx, listed[:limit])

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


def _object(tx: Transaction, text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    kind, _, ref = text.partition(":")
    if kind not in _KINDS or not ref:
        raise BadInput(
            f"{text[:80]!r} names no object.",
            hint="Write it as KIND:ID, such as vm:web01.",
            fields={"object": "is not KIND:ID"},
        )
    return kind, inventory.resolve(tx, kind, ref)
