"""Waits, for those who write pages: begin one, and say where it goes on to.

A page that needs a task's result answers its form with `initiate_wait_for_task`. The
wait is an address; when the task is over, the browser goes on to the continuation of
that name. Names are on a list, never stored methods or addresses; authors add theirs
with `register_continuation`.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

from starlette.responses import Response

from earmark.domain.errors import BadInput, Unavailable, UnknownName
from earmark.domain.task import Task
from earmark.engine.authored import in_ctx
from earmark.web.site import Site, go
from earmark.web.views import TaskView

_NAME = re.compile(r"[\w-]{1,64}")
#: An address on this site, which no browser reads as another's.
_HERE = re.compile(r"/(?![/\\])[^\s\\]*")
#: So many threads ask one continuation at a time. It is code of others and may block,
#: and must not take the threads of all pages then.
AT_ONCE = 4
#: How long its answer is waited for.
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Continuation:
    """`then` is asked when the task is over and returns an address; `meanwhile` is
    where those go who wait no longer."""

    then: Callable[[Site, str], str]
    meanwhile: Callable[[TaskView], str]


def _its_page(task: TaskView) -> str:
    return task.href


def _to_its_page(site: Site, task_id: str) -> str:
    return f"/tasks/{task_id}"


_known = {"task": Continuation(_to_its_page, _its_page)}


def register_continuation(
    name: str,
    then: Callable[[Site, str], str],
    meanwhile: Callable[[TaskView], str] = _its_page,
) -> None:
    """Let waits go on to something of one's own; done once, where the module is loaded.

    `then(site, task_id)` is asked when the task is over: ended, however that was, or
    held. It returns an address on this site. It may be asked again, by a reload or a
    second tab, and must then lead to the same place; what it writes, it writes once.
    `meanwhile(task)` is the address for those who go on in the background; by default
    the task's own page.

    Raises `BadInput` for a name with other signs than letters, digits, `-` and `_`, or
    one that something else is registered by.
    """
    made = Continuation(then, meanwhile)
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name[:80]!r} is no name for a continuation.")
    if _known.setdefault(name, made) != made:
        raise BadInput(
            f"A continuation {name!r} is there already.", hint="Choose another name."
        )


def find(name: str) -> Continuation:
    """The continuation of that name; raises `UnknownName`."""
    if name not in _known:
        raise UnknownName(
            f"No wait goes on to {name[:40]!r}.", hint="Open the task itself instead."
        )
    return _known[name]


def initiate_wait_for_task(task: Task, next: str = "task") -> Response:
    """Answer a form with a wait for the task, which goes on to the continuation `next`.

    A 303 to an address that is the wait's whole state: a reload, a second tab, another
    day, a server that was restarted and a browser without JavaScript wait on there.
    Nothing is written, so it may be answered again; only the task's owner can read it.
    Raises `UnknownName` when `next` is not on the list.
    """
    find(next)
    return go(wait_href(task.id, next))


def wait_href(task_id: str, next: str) -> str:
    """Address a wait, for a link to it."""
    return f"/tasks/{task_id}/wait?next={next}"


async def go_on(site: Site, task_id: str, next: str) -> Response:
    """Answer a wait that is over. Raises `BadInput` for a continuation that leads to
    somewhere else than this site, or back to its own wait; `Unavailable` for one that
    does not answer in `ANSWER_SECONDS`."""
    ask = partial(find(next).then, site, task_id)
    asking = asyncio.get_running_loop().run_in_executor(_threads_of(next), in_ctx, ask)
    try:
        address = await asyncio.wait_for(asking, ANSWER_SECONDS)
    except TimeoutError as silence:
        raise Unavailable(
            f"What follows this wait, {next!r}, has not answered for "
            f"{ANSWER_SECONDS:g} s.",
            hint=f"Load this page again, or open the task: /tasks/{task_id}",
        ) from silence
    if not _HERE.fullmatch(address):
        raise BadInput(
            f"The continuation {next!r} leads away from here.",
            hint="Its `then` must return an address that begins with one slash.",
        )
    if address.startswith(f"/tasks/{task_id}/wait"):
        raise BadInput(
            f"The continuation {next!r} leads back to its own wait.",
            hint=f"Open the task instead: /tasks/{task_id}",
        )
    return go(address)


@cache
def _threads_of(next: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, f"earmark-{next}")
