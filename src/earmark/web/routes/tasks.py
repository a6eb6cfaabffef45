"""Tasks: the list, one of them, its log."""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from earmark.domain.errors import UnknownName
from earmark.engine import browse
from earmark.store import journal
from earmark.store import tasks as rows
from earmark.web.flash import notices_of
from earmark.web.listing import tasks_href
from earmark.web.pages import TaskFilters, TaskPage, TasksPage
from earmark.web.reading import tasks as reading_tasks
from earmark.web.rendering import iso
from earmark.web.site import Site, fresh_key, show, site_of


def tasks(request: Request) -> Response:
    """Show a page of the list, the newest first."""
    site, query = site_of(request), request.query_params
    which = reading_tasks.filter_of(query)

    def work(tx: Any) -> TasksPage:
        listed = browse.list_tasks(tx, which, browse.PAGE + 1)
        shown = tuple(reading_tasks.views(tx, listed[: browse.PAGE]))
        more = len(listed) > browse.PAGE
        return TasksPage(
            tasks=shown,
            filters=TaskFilters(
                *(query.get(name, "") for name in ("state", "outcome", "command", "q"))
            ),
            commands=tuple(kind.__name__ for kind in site.engine.commands),
            older_href=tasks_href(query, before=shown[-1].id) if more else None,
            newest_href=tasks_href(query) if which.before else None,
        )

    return show(request, site.read(work))


def task(request: Request) -> Response:
    """Show one task with its tree, its log and its evidence."""
    task_id = request.path_params["task"]
    found = site_of(request).read(lambda tx: reading_tasks.details(tx, [task_id]))
    if task_id not in found:
        raise UnknownName(
            f"There is no task {task_id!r}.",
            hint="Look for it among the tasks: /tasks",
        )
    detail = found[task_id]
    page = TaskPage(
        task=detail.task,
        parent=detail.parent,
        provider=detail.provider,
        log=detail.log,
        placeholders=detail.placeholders,
        idempotency_key=fresh_key(),
    )
    return show(request, page, notices=notices_of(request))


def log(request: Request) -> Response:
    """Answer with a task's whole log as text."""
    site, task_id = site_of(request), request.path_params["task"]
    site.read(lambda tx: rows.get(tx, task_id))
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(
        log_lines(site, task_id), headers=headers, media_type="text/plain"
    )


def log_lines(site: Site, task_id: str) -> Iterator[str]:
    """Read a log piece by piece, one line of text for each."""
    seen = 0
    while True:
        after = seen
        lines = site.read(lambda tx: journal.lines(tx, task_id, after=after))  # noqa: B023
        for line in lines:
            yield f"{line.number:>6} {iso(line.at)} {line.level:<7} {line.text}\n"
            seen = line.number
        if not lines:
            return


ROUTES = [
    Route("/tasks", tasks),
    Route("/tasks/{task}", task),
    Route("/tasks/{task}/log", log),
]
