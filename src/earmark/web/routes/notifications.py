"""Notifications: ends of tasks that somebody wanted to be told of."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.task import LOCAL_OWNER
from earmark.store import notifications as rows
from earmark.store.database import Transaction
from earmark.web.pages import NotificationsPage
from earmark.web.reading import notifications
from earmark.web.site import Form, go, posting, show, site_of

Mark = Callable[[Transaction, str, str], object]


def listing(request: Request) -> Response:
    """Show those that are not dismissed."""
    return show(request, NotificationsPage(site_of(request).read(notifications.views)))


def follow(request: Request) -> Response:
    """Go where the end leads; with that it is read, however often it is asked."""
    one = request.path_params["notification"]
    task_id, name = site_of(request).engine.write(
        lambda tx: rows.read(tx, one, LOCAL_OWNER)
    )
    return go(f"/tasks/{task_id}/wait", next=name)


def _marking(mark: Mark) -> Callable[[Request, Form], Response]:
    def handle(request: Request, form: Form) -> Response:
        one = request.path_params["notification"]
        site_of(request).engine.write(lambda tx: mark(tx, one, LOCAL_OWNER))
        return go("/notifications")

    return handle


def read_all(request: Request, form: Form) -> Response:
    """All that the page showed were read."""
    newest = form.get("newest", "")
    site_of(request).engine.write(lambda tx: rows.read_all(tx, LOCAL_OWNER, newest))
    return go("/notifications")


def dismiss_read(request: Request, form: Form) -> Response:
    """Dismiss all failures that were read."""
    site_of(request).engine.write(lambda tx: rows.dismiss_read(tx, LOCAL_OWNER))
    return go("/notifications")


_POST = ["POST"]
_ONE = "/notifications/{notification}"
ROUTES = [
    Route("/notifications", listing),
    Route("/notifications/read", posting(read_all), methods=_POST),
    Route("/notifications/dismiss-read", posting(dismiss_read), methods=_POST),
    Route(_ONE, follow),
    Route(f"{_ONE}/read", posting(_marking(rows.read)), methods=_POST),
    Route(f"{_ONE}/dismiss", posting(_marking(rows.dismiss)), methods=_POST),
]
