"""How programs ask for work: what a request says in its headers, and how it is
answered, at once or when the task is over."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from earmark.domain.command import Command
from earmark.domain.errors import BadInput
from earmark.domain.task import Task
from earmark.engine import browse, cancel, evidence
from earmark.engine.pace import Paces
from earmark.engine.tx import EngineTx
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web.api.documents import ExpectedOut, OneTaskOut
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


def task_document(
    tx: Transaction, task_id: str, paces: Paces | None = None
) -> OneTaskOut:
    """Read one task with what can be asked of it now; raises `UnknownName`."""
    task = rows.get(tx, task_id)
    offered, held = cancel.offer(tx, task), evidence.case(tx, task)
    shown = browse.face(tx, task, paces)
    facts = asdict(shown) | {
        "expected": shown.expected and ExpectedOut.of(shown.expected),
        "offer": offered and asdict(offered),
        "choices": [asdict(it) for it in held.choices] if held else [],
        "evidence": [it._mapping for it in held.seen] if held else [],
    }
    return OneTaskOut.model_validate(facts)


async def ended(site: Site, task_id: str, seconds: int | None) -> OneTaskOut:
    """Read a task, when it is over or so many seconds are."""

    def work(tx: Transaction) -> OneTaskOut:
        return task_document(tx, task_id, site.paces)

    document = await run_in_threadpool(site.read, work)
    if seconds is None or document.over:
        return document
    await site.watcher.over(task_id, seconds)
    return await run_in_threadpool(site.read, work)


def refuse_empty(key: str | None) -> None:
    """Raise `BadInput` for a key that says nothing."""
    if key is not None and not key.strip():
        raise BadInput("The Idempotency-Key is empty.", hint="Leave it out instead.")


async def enqueue(
    site: Site,
    make: Callable[[EngineTx], Command[Any]],
    key: str | None,
    prefer: str,
) -> Response:
    """Queue a command: 202 with its task, or 200 with the end if that is waited for."""
    refuse_empty(key)

    def work(tx: EngineTx) -> Task:
        return make(tx).enqueue(tx, key=key)

    task = await run_in_threadpool(site.transact, work)
    return await answer(site, task.id, prefer)


async def answer(site: Site, task_id: str, prefer: str) -> Response:
    """Answer for a task that something was asked of: 202, or 200 with the end."""
    seconds = seconds_of(prefer)
    document = await ended(site, task_id, seconds)
    headers = {"Location": f"/api/v1/tasks/{task_id}", "Cache-Control": "no-store"}
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
    waited = seconds is not None and document.over
    if not waited:
        headers["Retry-After"] = str(RETRY_AFTER)
    status = 200 if waited else 202
    return JSONResponse(document.model_dump(mode="json"), status, headers)
