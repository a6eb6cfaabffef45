"""Tasks: the list, and one of them."""

from dataclasses import replace
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.errors import BadInput
from earmark.domain.task import Task
from earmark.engine import browse, evidence, narrow
from earmark.engine import cancel as cancelling
from earmark.engine.browse import TaskFilter
from earmark.engine.narrow import FILTERS
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.store.inventory import zone_names
from earmark.web import questions
from earmark.web.faults import status_of
from earmark.web.flash import notices_of
from earmark.web.listing import tasks_href
from earmark.web.pages import Question, TaskPage
from earmark.web.reading import tasks as reading_tasks
from earmark.web.site import fresh_key, show, site_of, told
from earmark.web.task_lists import TaskFilters, TasksPage


def tasks(request: Request) -> Response:
    """Show a page of the list, the newest first; or what is wrong with its filters."""
    site, query = site_of(request), request.query_params
    filters = TaskFilters(**{name: query.get(name, "").strip() for name in FILTERS})
    commands = tuple(kind.__name__ for kind in site.engine.commands)

    def work(tx: Transaction) -> TasksPage:
        which = narrow.named(tx, narrow.filter_of(query))
        listed = browse.page(tx, which)
        older = listed.older
        about = f"{which.object_kind}:{which.object_id}" if which.object_kind else ""
        return TasksPage(
            tasks=tuple(reading_tasks.views(tx, listed.tasks)),
            filters=_in_fields(filters, which),
            commands=commands,
            older_href=tasks_href(query, before=older) if older else None,
            newest_href=tasks_href(query) if which.before else None,
            zones=tuple(zone_names(tx)),
            searched=browse.LOOKED_THROUGH if listed.cut else 0,
            about=about,
            here=tasks_href(query, **_place(which)).partition("?")[2],
            all_chosen=query.get("select") == "all",
        )

    try:
        page = site.read(work)
    except BadInput as error:
        wrong = frozenset(error.fields)
        zones = tuple(site.read(zone_names))
        page = TasksPage(
            (), filters, commands, zones=zones, error=told(error), wrong=wrong
        )
        return show(request, page, status_of(error))
    return show(request, page, notices=notices_of(request))


def _place(which: TaskFilter) -> dict[str, str]:
    return {"before": which.before} if which.before else {}


def _in_fields(filters: TaskFilters, which: TaskFilter) -> TaskFilters:
    """The filters as the form's own fields can show them."""
    since, until = which.created_from, which.created_before
    if since is not None:
        filters = replace(filters, since=narrow.minute(since))
    if until is not None:
        # Up to the end of the minute that the field shows.
        filters = replace(filters, until=narrow.minute(until - timedelta(seconds=1)))
    return filters


def task(request: Request) -> Response:
    """Show one task with its tree, its log and its evidence."""
    site, task_id = site_of(request), request.path_params["task"]

    def work(tx: Transaction) -> TaskPage:
        row = rows.get(tx, task_id)
        detail = reading_tasks.details(tx, [task_id], site.paces)[task_id]
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
    decisions = questions.of_decisions(evidence.case(tx, row))
    offered = cancelling.offer(tx, row)
    if offered is None:
        return decisions
    return (questions.of_cancel(row, offered), *decisions)


ROUTES = [
    Route("/tasks", tasks),
    Route("/tasks/{task}", task),
]
