"""Cancel, retry and resolve over REST: what is asked of a task that is there."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from earmark.domain.task import LOCAL_OWNER
from earmark.engine import cancel as cancelling
from earmark.engine import retry as retrying
from earmark.web.api.asking import IdempotencyKey, Prefer, answer, refuse_empty
from earmark.web.api.documents import OneTaskOut, ResolveIn
from earmark.web.routes.deciding import decide
from earmark.web.site import site_of

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.post("/{task_id}/cancel", response_model=OneTaskOut, status_code=202)
async def cancel_task(request: Request, task_id: str, prefer: Prefer = "") -> Response:
    """Ask a task to stop. Asked twice, it changes nothing; 409 once it has ended."""
    site = site_of(request)
    await run_in_threadpool(cancelling.cancel, site.engine, task_id, LOCAL_OWNER)
    return await answer(site, task_id, prefer)


@router.post("/{task_id}/retry", response_model=OneTaskOut, status_code=202)
async def retry_task(
    request: Request,
    task_id: str,
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask for an ended task again: 202 with the new task, and its `Location`."""
    refuse_empty(idempotency_key)
    site = site_of(request)
    task = await run_in_threadpool(
        retrying.retry,
        site.engine,
        task_id,
        LOCAL_OWNER,
        key=idempotency_key,
        join=True,
    )
    return await answer(site, task.id, prefer)


@router.post("/{task_id}/resolve", response_model=OneTaskOut, status_code=202)
async def resolve_task(
    request: Request, task_id: str, body: ResolveIn, prefer: Prefer = ""
) -> Response:
    """Decide about a held task; a root stands for the one part of it that is held."""
    site = site_of(request)
    task = await run_in_threadpool(
        decide, site, task_id, body.decision, body.external_id
    )
    return await answer(site, task.id, prefer)
