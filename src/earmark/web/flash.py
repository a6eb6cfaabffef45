"""What a page says once, after something was asked for. The address carries the task,
so a reload says what is true by then; nothing is kept anywhere."""

from typing import Literal

from starlette.requests import Request

from earmark.engine.crew import no_worker
from earmark.store.database import Transaction
from earmark.web import looks
from earmark.web.reading import tasks
from earmark.web.site import site_of
from earmark.web.views import Notice, Ref, TaskView

Tone = Literal["ok", "bad", "wait"]


def notices_of(request: Request) -> tuple[Notice, ...]:
    """Tell of the task in the page's address, if there is one."""
    query = request.query_params
    task_id, told = query.get("task", ""), query.get("background", "")
    if not task_id and not told:
        return ()
    return site_of(request).read(lambda tx: _notices(tx, task_id, told))


def _notices(tx: Transaction, task_id: str, told: str) -> tuple[Notice, ...]:
    for task in tasks.views(tx, tasks.by_ids(tx, [told or task_id])):
        if told and not task.done:
            return (_in_background(task),)
        return (_notice(task, not task.over and no_worker(tx, task.zone, task.role)),)
    return ()


def _in_background(task: TaskView) -> Notice:
    link = Ref("notifications", "", "Notifications", "/notifications")
    words = f"“{task.title}” goes on in the background. You are told when it ends."
    return Notice("busy", words, link)


def _notice(task: TaskView, deserted: bool) -> Notice:
    link = Ref("task", task.id, "Follow it", task.href)
    if deserted:
        why = f"No live worker with role {task.role} in zone {task.zone}: it waits."
        return Notice("wait", f"“{task.title}” was queued.", link, why)
    if not task.done:
        return Notice("busy", f"“{task.title}” was queued.", link)
    look = looks.task_look(task.state, task.outcome)
    tone: Tone = "bad" if look.tone == "bad" else "ok" if look.tone == "ok" else "wait"
    words = f"“{task.title}”: {look.word.lower()}."
    return Notice(tone, words, link, task.error.message if task.error else None)
