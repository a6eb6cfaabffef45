"""A tenant, as a browser goes through its making: the form, the wait, and what is said
at the end. The task's own parameters are all that is kept of the form."""

from collections.abc import Mapping

from earmark.commands import CreateTenant
from earmark.domain.errors import UnknownName
from earmark.domain.inventory import Provider
from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store import inventory, tasks
from earmark.store.database import Transaction
from earmark.web.continuations import register_continuation
from earmark.web.site import Site
from earmark.web.views import Notice, Ref, TaskView

#: Where the wait goes on to.
NEXT = "tenant-created"


def meanwhile(task: TaskView) -> str:
    """Address the tenants; the task adds itself there, and a notice tells of it."""
    return "/tenants"


def tenant_created(site: Site, task_id: str) -> str:
    """Address the tenants once there is a new one, else the form with what was typed.

    A task that is held leads to its own page: the tenant may be there, so that asking
    again would be wrong before somebody has decided.
    """
    task = site.read(lambda tx: tasks.get(tx, task_id))
    if _made(task):
        return f"/tenants?task={task_id}"
    if task.command != CreateTenant.__name__ or not task.done:
        return f"/tasks/{task_id}"
    return f"/tenants/new?again={task_id}"


def able(engine: Engine, tx: Transaction) -> list[Provider]:
    """The providers that can create tenants, by name."""
    kinds = {
        kind
        for kind, connector in engine.connectors.items()
        if CreateTenant.operation in connector.operations
    }
    return [it for it in inventory.list_providers(tx) if it.kind in kinds]


def success(tx: Transaction, task_id: str) -> Notice | None:
    """Tell of the tenant that the task has created; None for any other task."""
    task = tasks.find(tx, task_id)
    if task is None or not _made(task):
        return None
    return Notice("ok", f"Tenant “{task.params['name']}” was created.", _link(task))


def failed(tx: Transaction, task_id: str) -> tuple[dict[str, str], Notice]:
    """The form as it was sent to a task that failed, and what to say about it.

    Raises `UnknownName` for a task that was none of these.
    """
    task = tasks.get(tx, task_id)
    if task.command != CreateTenant.__name__ or not task.done or _made(task):
        raise UnknownName(
            "No tenant failed to be created by this task.",
            hint="Open the task, or begin with an empty form.",
        )
    values = {name: str(value) for name, value in task.params.items()}
    values["provider"] = inventory.name_of(tx, "provider", values["provider"])
    words = f"Tenant “{values['name']}” was not created: {task.outcome}."
    return values, Notice("bad", words, _link(task), _reason(task))


def _made(task: Task) -> bool:
    return task.command == CreateTenant.__name__ and task.went_well


def _reason(task: Task) -> str:
    error: Mapping[str, object] = task.error or {}
    left = error.get("left_behind") or ()
    lines = [str(error.get("message") or task.message)]
    lines += [str(line) for line in left] if isinstance(left, (list, tuple)) else []
    return " ".join(lines)


def _link(task: Task) -> Ref:
    return Ref("task", task.id, "See the task", f"/tasks/{task.id}")


register_continuation(NEXT, tenant_created, meanwhile)
