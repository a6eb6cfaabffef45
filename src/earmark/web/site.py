"""What every handler needs at hand: the engine, the watcher, and the way to answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TypeVar
from urllib.parse import urlencode

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from earmark.domain.errors import BadInput, EarmarkError
from earmark.domain.ids import new_id
from earmark.domain.settings import Settings
from earmark.engine import browse
from earmark.engine.enqueue import transact
from earmark.engine.pace import Paces
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.store import schema
from earmark.store.database import Transaction
from earmark.web.consoles.meetings import Meetings
from earmark.web.live.watcher import Watcher
from earmark.web.pages import Page, Shell
from earmark.web.reading import notifications, orphans
from earmark.web.reading import tasks as reading_tasks
from earmark.web.rendering import render
from earmark.web.views import Notice

T = TypeVar("T")
Form = Mapping[str, str]
_LONGEST_KEY = 64
_MOST_FIELDS = 200
#: Rows that something is asked of at once: those of one page.
MOST_CHOSEN = 100


@dataclass(frozen=True)
class Site:
    """The web process's parts."""

    engine: Engine
    settings: Settings
    watcher: Watcher
    consoles: Meetings
    paces: Paces = field(default_factory=Paces)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a reading transaction."""
        return self.engine.read(work)

    def transact(self, work: Callable[[EngineTx], T]) -> T:
        """Run a writing transaction with all that authors may do in it."""
        return transact(self.engine, work)


def site_of(request: Request) -> Site:
    """Find the parts for a request."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def show(
    request: Request, page: Page, status: int = 200, notices: tuple[Notice, ...] = ()
) -> Response:
    """Answer with a page."""
    shell = site_of(request).read(lambda tx: _shell(tx, notices))
    return html(page, shell, status)


def html(page: Page, shell: Shell, status: int = 200) -> Response:
    """Make the answer of a page and what surrounds it."""
    headers = {
        "Content-Security-Policy": page.security_policy,
        "Cache-Control": "no-store",
    }
    return HTMLResponse(render(page, shell), status, headers)


def go(path: str, **query: str) -> Response:
    """Send the browser on, to be asked with GET."""
    more = "&" if "?" in path else "?"
    address = f"{path}{more}{urlencode(query)}" if query else path
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


def bare_shell() -> Shell:
    """What surrounds a page when the database cannot be asked."""
    return Shell(
        installation="Earmark", now=datetime.now(UTC), loopback=True, version=release()
    )


@cache
def release() -> str:
    """Name this release of Earmark."""
    return version("earmark")


def _shell(tx: Transaction, notices: tuple[Notice, ...]) -> Shell:
    labs = sa.select(schema.providers.c.id).where(schema.providers.c.kind == "lab")
    return Shell(
        installation="Earmark",
        now=tx.now,
        running=reading_tasks.under_way(tx),
        needing=browse.count_needing(tx),
        orphans=orphans.count(tx),
        news=notifications.count(tx),
        recent=reading_tasks.newest(tx),
        notices=notices,
        simulated=tx.execute(labs.limit(1)).first() is not None,
        loopback=True,
        version=release(),
    )


def posting(
    handler: Callable[[Request, Form], Response],
) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a handler that takes a sent form and may block."""

    async def endpoint(request: Request) -> Response:
        sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
        form = {name: value for name, value in sent.items() if isinstance(value, str)}
        _refuse_odd("".join(form.values()))
        if len(form) != len(sent.multi_items()):
            raise BadInput("Each field of a form is sent once.", hint="Go back.")
        return await run_in_threadpool(handler, request, form)

    return endpoint


def choosing(
    name: str, handler: Callable[[Request, Form, tuple[str, ...]], Response]
) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint like `posting` for a form in which rows were chosen: the field
    of that name may be there many times, at most `MOST_CHOSEN`."""

    async def endpoint(request: Request) -> Response:
        sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
        items = [(field, it) for field, it in sent.multi_items() if field != name]
        form = {field: it for field, it in items if isinstance(it, str)}
        chosen = tuple(dict.fromkeys(str(it) for it in sent.getlist(name)))
        _refuse_odd("".join((*form.values(), *chosen)))
        if len(form) != len(items):
            raise BadInput("Each field of a form is sent once.", hint="Go back.")
        return await run_in_threadpool(handler, request, form, few(chosen))

    return endpoint


def _refuse_odd(text: str) -> None:
    """Raise `BadInput` for what not both stores can keep, nor a page show."""
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise BadInput(
            "The form holds a NUL, or half a sign.", hint="Go back, and type it anew."
        )


def few(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen ones; raises `BadInput` when they are too many for one go."""
    if len(chosen) > MOST_CHOSEN:
        raise BadInput(
            f"{len(chosen)} were chosen, and at most {MOST_CHOSEN} go at once.",
            hint="Choose fewer, or use the command line.",
        )
    return chosen


def fresh_key() -> str:
    """Make the key of a form: sent twice, it still is one wish."""
    return new_id()


def key_of(request: Request, form: Form) -> str | None:
    """Read the form's key. One key serves all the buttons of a page, so it is told
    apart by the path that the button asks."""
    key = form.get("idempotency_key", "")
    if len(key) > _LONGEST_KEY:
        raise BadInput("The form's key is too long.", hint="Load the page again.")
    return f"{request.url.path}:{key}" if key else None


def told(error: EarmarkError) -> str:
    """Say an error and what to do about it, in one line."""
    return f"{error} {error.hint}".strip()
