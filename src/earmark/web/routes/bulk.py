"""What a person asks of many tasks at once: first what it means, then it is done."""

import re
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.errors import BadInput
from earmark.domain.task import LOCAL_OWNER
from earmark.engine import many
from earmark.store.database import Transaction
from earmark.web.listing import tasks_href
from earmark.web.site import Form, choosing, few, fresh_key, go, show, site_of
from earmark.web.task_lists import BulkPage, Fate

_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ask(request: Request) -> Response:
    """Say what will happen to how many of the chosen tasks, and ask whether it is
    meant."""
    query = request.query_params
    deed = many.deed_of(query.get("verb", ""))
    chosen = few(tuple(dict.fromkeys(query.getlist("task"))))
    back = query.get("back", "")

    def work(tx: Transaction) -> tuple[Fate, ...]:
        return tuple(
            Fate(it.text, tuple(task.title for task in it.tasks), it.refused)
            for it in many.foresee(tx, deed, chosen)
        )

    fates = site_of(request).read(work)
    href = _list(back)
    return show(request, BulkPage(deed, fates, chosen, back, href, fresh_key()))


def act(request: Request, form: Form, chosen: tuple[str, ...]) -> Response:
    """Do it, and show the list again with what came of it."""
    deed = many.deed_of(form.get("verb", ""))
    key = form.get("idempotency_key", "") or fresh_key()
    if not _KEY.fullmatch(key):
        raise BadInput("This is no key of a form.", hint="Load the page again.")
    if not chosen:
        raise BadInput("No task is chosen.", hint="Go back, and tick some.")
    many.carry_out(site_of(request).engine, deed, chosen, LOCAL_OWNER, key)
    return go(_list(form.get("back", ""), deed=key))


def _list(back: str, **more: str) -> str:
    """The list that the tasks were chosen in, and never any other address."""
    query = dict(parse_qsl(back))
    if "before" in query:
        more["before"] = query["before"]
    return tasks_href(query, **more)


ROUTES = [
    Route("/tasks/bulk", ask),
    Route("/tasks/bulk", choosing("task", act), methods=["POST"]),
]
