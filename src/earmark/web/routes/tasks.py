"""Tasks: the list, and one of them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.task import Task
from earmark.engine import browse, evidence
from earmark.engine import cancel as cancelling
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web import questions
from earmark.web.flash import notices_of
from earmark.web.listing import tasks_href
from earmark.web.pages import Question, TaskFilters, TaskPage, TasksPage
from earmark.web.reading import tasks as reading_tasks
from earmark.web.site import fresh_key, show, site_of


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
                **{name: query.get(name, "") for name in reading_tasks.FILTERS}
            ),
            commands=tuple(kind.__name__ for kind in site.engine.commands),
            older_href=tasks_href(query, before=shown[-1].id) if more else None,
            newest_href=tasks_href(query) if which.before else None,
        )

    return show(request, site.read(work))


def task(request: Request) -> Response:
    """Show one task with its tree, its log and its evidence."""
    site, task_id = site_of(request), request.path_params["task"]

    def work(tx: Transaction) -> TaskPage:
        row = rows.get(tx, task_id)
        detail = reading_tasks.details(tx, [task_id])[task_id]
        return TaskPage(
            task=detail.task,
            parent=detail.parent,
            provider=detail.provider,
            log=detail.log,
            placeholders=detail.placeholders,
            idempotency_key=fresh_key(),
            questions=_questions(tx, row),
        )

    page = site.read(work)
    return show(request, page, notices=notices_of(request))


def _questions(tx: Transaction, row: Task) -> tuple[Question, ...]:
    cancel = questions.of_cancel(row, cancelling.offer(tx, row))
    return (cancel, *questions.of_decisions(evidence.case(tx, row)))


ROUTES = [
    Route("/tasks", tasks),
    Route("/tasks/{task}", task),
]
