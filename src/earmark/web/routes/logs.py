"""A task's whole log: to look through, and to take away."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from earmark.domain.errors import BadInput
from earmark.store import journal
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.pages import LogPage
from earmark.web.reading import tasks as reading_tasks
from earmark.web.rendering import iso
from earmark.web.site import Site, go, show, site_of
from earmark.web.views import LogLine

PAGE = 1000
_LONGEST_NUMBER = 9
_BEFORE_ERROR = 20


def log(request: Request) -> Response:
    """Show a page of a log, only the lines with certain words if asked."""
    task_id = request.path_params["task"]
    q = request.query_params.get("q", "").strip()
    after = _number(request.query_params.get("after", ""))

    def work(tx: Transaction) -> LogPage:
        task = rows.get(tx, task_id)
        found = journal.lines(tx, task_id, after=after, containing=q, limit=PAGE + 1)
        lines = tuple(LogLine(it.number, it.at, it.level, it.text) for it in found)
        more = lines[PAGE - 1].number if len(lines) > PAGE else 0
        return LogPage(
            task=reading_tasks.views(tx, [task])[0],
            lines=lines[:PAGE],
            q=q,
            first_href=_href(task_id, q) if after else None,
            more_href=_href(task_id, q, more) if more else None,
        )

    return show(request, site_of(request).read(work))


def first_error(request: Request) -> Response:
    """Go to the first line that tells of an error, with some of what led there."""
    task_id = request.path_params["task"]

    def work(tx: Transaction) -> int | None:
        rows.get(tx, task_id)
        return journal.first_error(tx, task_id)

    number = site_of(request).read(work)
    if number is None:
        return go(_href(task_id, ""))
    href = _href(task_id, "", max(0, number - 1 - _BEFORE_ERROR))
    return go(f"{href}#line-{number}")


def _number(word: str) -> int:
    if word and (
        not word.isascii() or not word.isdigit() or len(word) > _LONGEST_NUMBER
    ):
        raise BadInput("`after` is the number of a line.", hint="Leave it out.")
    return int(word or 0)


def _href(task_id: str, q: str, after: int = 0) -> str:
    query: dict[str, Any] = {"q": q} if q else {}
    query |= {"after": after} if after else {}
    words = urlencode(query)
    return f"/tasks/{task_id}/log?{words}" if words else f"/tasks/{task_id}/log"


def download(request: Request) -> Response:
    """Answer with the whole log as a file of plain text."""
    site, task_id = site_of(request), request.path_params["task"]
    site.read(lambda tx: rows.get(tx, task_id))
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="task-{task_id}.log.txt"',
    }
    return StreamingResponse(
        batches(site, task_id), headers=headers, media_type="text/plain"
    )


def batches(site: Site, task_id: str) -> Iterator[str]:
    """Read a log piece by piece: a text of many lines for each."""
    seen = 0
    while True:
        lines = site.read(partial(journal.lines, task_id=task_id, after=seen))
        if not lines:
            return
        seen = lines[-1].number
        yield "".join(
            f"{it.number:>6} {iso(it.at)} {it.level:<7} {it.text}\n" for it in lines
        )


ROUTES = [
    Route("/tasks/{task}/log", log),
    Route("/tasks/{task}/log/error", first_error),
    Route("/tasks/{task}/log.txt", download),
]
