"""Waits. The address is the whole state: a reload, a second tab, another day or
another server answers the same."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.task import LOCAL_OWNER
from earmark.engine.pace import Paces
from earmark.store import notifications
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.continuations import find, go_on, wait_href
from earmark.web.pages import WaitPage
from earmark.web.reading import tasks
from earmark.web.site import Form, go, posting, show, site_of
from earmark.web.views import TaskView

#: How long an answer to a browser without JavaScript waits for the end.
HOLD_SECONDS = 10.0
#: When to offer to go on in the background.
LONG_SECONDS = 10.0


async def wait(request: Request) -> Response:
    """Show the wait, or go on when it is over; with `hold=1` after a while at most."""
    if request.query_params.get("hold") == "1":
        watcher = site_of(request).watcher
        await watcher.over(request.path_params["task"], HOLD_SECONDS)
    name = request.query_params.get("next", "task")
    page = await run_in_threadpool(_still, request, name)
    if page is not None:
        return page
    return await go_on(site_of(request), request.path_params["task"], name)


def _still(request: Request, name: str) -> Response | None:
    """The page of a wait; None when it is over."""
    site, task_id = site_of(request), request.path_params["task"]
    find(name)
    task, waited = site.read(lambda tx: _look(tx, task_id, site.paces))
    if task.over:
        return None
    address = wait_href(task_id, name)
    page = WaitPage(
        task=task,
        self_href=address,
        hold_href=f"{address}&hold=1",
        background_href=f"/tasks/{task_id}/background",
        next=name,
        offer_background=waited > LONG_SECONDS,
    )
    return show(request, page)


def background(request: Request, form: Form) -> Response:
    """Wait no longer: the end becomes a notification, and the browser goes on to where
    its continuation says. Asked twice, it is one notification."""
    site, task_id = site_of(request), request.path_params["task"]
    name = form.get("next", "task")
    continuation = find(name)

    def work(tx: Transaction) -> TaskView:
        task = rows.of_owner(tx, task_id, LOCAL_OWNER)
        notifications.subscribe(tx, task_id, LOCAL_OWNER, name)
        return tasks.views(tx, [task])[0]

    task = site.engine.write(work)
    return go(continuation.meanwhile(task), background=task_id)


def _look(tx: Transaction, task_id: str, paces: Paces) -> tuple[TaskView, float]:
    task = rows.of_owner(tx, task_id, LOCAL_OWNER)
    waited = (tx.now - task.created_at).total_seconds()
    return tasks.followed(tx, [task], paces)[0], waited


ROUTES = [
    Route("/tasks/{task}/wait", wait),
    Route("/tasks/{task}/background", posting(background), methods=["POST"]),
]
