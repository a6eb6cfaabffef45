"""Notifications as views."""

from earmark.domain.task import LOCAL_OWNER
from earmark.store import notifications
from earmark.store.database import Transaction
from earmark.store.notifications import Notification
from earmark.web.views import NotificationView


def views(tx: Transaction) -> tuple[NotificationView, ...]:
    """Show what is not dismissed: what still counts before what was read."""
    return tuple(_view(it) for it in notifications.listed(tx, LOCAL_OWNER))


def count(tx: Transaction) -> int:
    """Count those that wait to be read, or to be dismissed."""
    return notifications.count(tx, LOCAL_OWNER)


def _view(it: Notification) -> NotificationView:
    return NotificationView(
        id=it.id,
        title=it.title,
        outcome=it.outcome,
        line=next(iter(it.message.splitlines()), ""),
        href=f"/notifications/{it.id}",
        ended_at=it.ended_at,
        read=it.read_at is not None,
        bad=it.bad,
    )
