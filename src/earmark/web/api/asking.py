"""How programs ask for work: what a request says in its headers, and how it is
answered, at once or when the task is over."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from earmark.domain.command import Command
from earmark.domain.errors import BadInput
from earmark.domain.task import Task
from earmark.engine import browse
from earmark.engine.tx import EngineTx
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.api.documents import TaskOut
from earmark.web.site import Site

LONGEST_WAIT = 60
#: How soon it is worth asking again, in seconds.
RETRY_AFTER = 1

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*(\d{1,9})\s*(?:$|[,;])")

Prefer = Annotated[
    str, Header(description="`wait=N`: answer when the task is over, N ≤ 60 seconds")
]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=128, description="The same key makes the same request once"),
]


def seconds_of(prefer: str) -> int | None:
    """Read how long the caller would wait; None when nothing was said."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), LONGEST_WAIT) if found else None


def task_document(tx: Transaction, task_id: str) -> TaskOut:
    """Read one task; raises `UnknownName`."""
    return TaskOut.model_validate(browse.face(tx, rows.get(tx, task_id)))


async def ended(site: Site, task_id: str, seconds: int | None) -> TaskOut:
    """Read a task, when it is over or so many seconds are."""
    document = await run_in_threadpool(site.read, lambda tx: task_document(tx, task_id))
    if seconds is None or document.over:
        return document
    await site.watcher.over(task_id, seconds)
    return await run_in_threadpool(site.read, lambda tx: task_document(tx, task_id))


async def enqueue(
    site: Site,
    make: Callable[[EngineTx], Command[Any]],
    key: str | None,
    prefer: str,
) -> Response:
    """Queue a command: 202 with its task, or 200 with the end if that is waited for."""
    if key is not None and not key.strip():
        raise BadInput("The Idempotency-Key is empty.", hint="Leave it out instead.")

    def work(tx: EngineTx) -> Task:
        return make(tx).enqueue(tx, key=key)

    task = await run_in_threadpool(site.transact, work)
    seconds = seconds_of(prefer)
    document = await ended(site, task.id, seconds)
    headers = {"Location": f"/api/v1/tasks/{task.id}", "Cache-Control": "no-store"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    waited = seconds is not None and document.over
    if not waited:
        headers["Retry-After"] = str(RETRY_AFTER)
    status = 200 if waited else 202
    return JSONResponse(document.model_dump(mode="json"), status, headers)
