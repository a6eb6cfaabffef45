"""What a page says once, after something was asked for. The address carries the task,
so a reload says what is true by then; nothing is kept anywhere."""

from typing import Literal

from starlette.requests import Request

from earmark.domain.task import Task
from earmark.engine.crew import no_worker
from earmark.store import journal
from earmark.store.database import Transaction
from earmark.web import looks
from earmark.web.reading import machines, tasks
from earmark.web.site import site_of
from earmark.web.views import Notice, Ref, TaskView

Tone = Literal["ok", "bad", "wait"]

_DEEDS = {
    "cancel-many": "asked to stop",
    "retry-many": "asked for again",
    "delete-many": "deleted",
}


def notices_of(request: Request) -> tuple[Notice, ...]:
    """Tell of the task in the page's address, or of what was done to many, if there is
    one."""
    query = request.query_params
    task_id, told = query.get("task", ""), query.get("background", "")
    deed_id = query.get("deed", "")

    def work(tx: Transaction) -> tuple[Notice, ...]:
        one = _notices(tx, told or task_id, bool(told)) if told or task_id else ()
        return (*one, *(_of_deed(tx, deed_id) if deed_id else ()))

    return site_of(request).read(work) if told or task_id or deed_id else ()


def _of_deed(tx: Transaction, deed_id: str) -> tuple[Notice, ...]:
    """What came of something that was done to many tasks, as the audit has it."""
    row = journal.deed(tx, deed_id)
    words = _DEEDS.get(row.action) if row is not None else None
    if row is None or words is None:
        return ()
    done, refused = row.data["done"], row.data["refused"]
    count = "1 task" if done == 1 else f"{done} tasks"
    text = f"{count} {words}."
    if not refused:
        return (Notice("ok", text),)
    points = [f"“{it['title']}”: {it['why']}" for it in row.data["told"]]
    if refused > len(points):
        points.append(f"and {refused - len(points)} more")
    return (Notice("wait", f"{text} Not {refused}:", points=tuple(points)),)


def _notices(tx: Transaction, task_id: str, told: bool) -> tuple[Notice, ...]:
    for task in tasks.by_ids(tx, [task_id]):
        view = tasks.views(tx, [task])[0]
        if told and not view.done:
            return (_in_background(view),)
        return (_notice(view, _deserted(tx, view), _in_the_way(tx, task)),)
    return ()


def _in_background(task: TaskView) -> Notice:
    link = Ref("notifications", "", "Notifications", "/notifications")
    words = f"“{task.title}” goes on in the background. You are told when it ends."
    return Notice("busy", words, link)


def _deserted(tx: Transaction, task: TaskView) -> bool:
    return not task.over and no_worker(tx, task.zone, task.role)


def _in_the_way(tx: Transaction, task: Task) -> str | None:
    """Who else holds a VM that a new task is about, and what that means for it."""
    many = task.params.get("vms")
    vms = many or [task.params.get("vm")]
    held = machines.locks_on_vms(tx, [vm for vm in vms if isinstance(vm, str)])
    others = [one for its in held.values() for one in its if one.owner.id != task.id]
    if not others:
        return None
    busy = f"busy with “{others[0].owner.name}”"
    if many:
        count = "1 of its VMs is" if len(held) == 1 else f"{len(held)} of its VMs are"
        return f"{count} {busy}: it waits until nobody else holds them."
    return f"The VM is {busy}: unless that ends first, this is refused."


def _notice(task: TaskView, deserted: bool, in_the_way: str | None) -> Notice:
    link = Ref("task", task.id, "Follow it", task.href)
    if deserted:
        why = f"No live worker with role {task.role} in zone {task.zone}: it waits."
        return Notice("wait", f"“{task.title}” was queued.", link, why)
    if not task.done:
        return Notice("busy", f"“{task.title}” was queued.", link, in_the_way)
    look = looks.task_look(task.state, task.outcome)
    tone: Tone = "bad" if look.tone == "bad" else "ok" if look.tone == "ok" else "wait"
    words = f"“{task.title}”: {look.word.lower()}."
    return Notice(tone, words, link, task.error.message if task.error else None)
