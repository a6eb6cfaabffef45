"""Notifications over REST: ends of tasks that somebody wanted to be told of."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from earmark.domain.task import LOCAL_OWNER
from earmark.store import notifications
from earmark.web.api.documents import NotificationOut
from earmark.web.site import site_of

router = APIRouter(prefix="/notifications", tags=["notifications"])


@router.get("")
def list_notifications(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500)] = notifications.LISTED,
) -> list[NotificationOut]:
    """What is not dismissed: unread ends and failures, then what was read; of both
    the newest end first."""
    found = site_of(request).read(
        lambda tx: notifications.listed(tx, LOCAL_OWNER, limit)
    )
    return [NotificationOut.model_validate(it) for it in found]


@router.post("/{notification_id}/dismiss", status_code=204)
def dismiss_notification(request: Request, notification_id: str) -> Response:
    """See it no more. Asked twice, it changes nothing."""
    site_of(request).engine.write(
        lambda tx: notifications.dismiss(tx, notification_id, LOCAL_OWNER)
    )
    return Response(status_code=204)
