"""VMs: the list, one of them, and its buttons."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import AddVmTemplate, PowerOff, PowerOn, ShutdownGuest
from earmark.domain.command import Command
from earmark.domain.errors import BadInput, EarmarkError, KeyReused, UnknownName
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import describe
from earmark.engine.tx import EngineTx
from earmark.store import inventory, notifications
from earmark.web.faults import status_of
from earmark.web.flash import notices_of
from earmark.web.listing import vms_more
from earmark.web.pages import TEMPLATE_NAME, TemplateFormPage, VmPage, VmsPage
from earmark.web.reading import machines
from earmark.web.reading import tasks as reading_tasks
from earmark.web.site import Form, Site, fresh_key, go, key_of, posting, show, site_of
from earmark.web.site import told as said
from earmark.web.views import VmView

#: The verb in an address → the command that it asks for.
POWER: Mapping[str, type[Command[Any]]] = {
    "start": PowerOn,
    "stop": PowerOff,
    "shutdown": ShutdownGuest,
}


def power_command(verb: str) -> type[Command[Any]]:
    """The command of a verb; raises `UnknownName`."""
    if verb not in POWER:
        raise UnknownName(
            f"A VM has no action {verb!r}.", hint=f"There are: {', '.join(POWER)}."
        )
    return POWER[verb]


def home(request: Request) -> Response:
    """Send whoever opens the site to the VMs."""
    return go("/vms")


def vms(request: Request) -> Response:
    """Show a page of the list."""
    q = request.query_params.get("q", "").strip()
    after = request.query_params.get("after", "")

    def work(tx: Any) -> VmsPage:
        listed = machines.list_vms(tx, q, after)
        return VmsPage(
            vms=tuple(machines.vm_views(tx, listed[: machines.PAGE])),
            q=q,
            after=after,
            has_providers=bool(inventory.list_providers(tx)),
            more_href=vms_more(listed, q),
        )

    return show(request, site_of(request).read(work))


def vm(request: Request) -> Response:
    """Show one VM."""
    site = site_of(request)

    def work(tx: Any) -> VmPage:
        shown = machines.vm_view(tx, request.path_params["vm"])
        return VmPage(
            vm=shown,
            tasks=reading_tasks.recent_on(tx, "vm", [shown.id]).get(shown.id, ()),
            locks=machines.locks_on_vms(tx, [shown.id]).get(shown.id, ()),
            waiting=machines.waiting(tx, [shown.id]).get(shown.id, ()),
            idempotency_key=fresh_key(),
            can_make_template=_can_copy(site, shown),
        )

    return show(request, site.read(work), notices=notices_of(request))


def _can_copy(site: Site, vm: VmView) -> bool:
    connector = site.engine.connectors.get(vm.provider.kind)
    return connector is not None and "image.copy" in connector.operations


def power(request: Request, form: Form) -> Response:
    """Queue a power action, and show the VM again; its end becomes a notification."""
    site, vm_id = site_of(request), request.path_params["vm"]
    kind = power_command(request.path_params["verb"])
    command, key = describe.build(kind, {"vm": vm_id}), key_of(request, form)

    def work(tx: EngineTx) -> Task:
        task = command.enqueue(tx, key=key)
        notifications.subscribe(tx.store, task.id, LOCAL_OWNER, "task")
        return task

    task = site.transact(work)
    return go(f"/vms/{task.object_id}", task=task.id)


def new_template(request: Request) -> Response:
    """Show the form that makes a template, as a page of its own."""
    return _template_form(request, None, {})


def add_template(request: Request, form: Form) -> Response:
    """Queue the making of a template, or show the form again with what is wrong."""
    site, key = site_of(request), key_of(request, form)
    values = {"vm": request.path_params["vm"], "name": form.get("name", "").strip()}
    try:
        command = describe.build(AddVmTemplate, values)
        task = site.transact(lambda tx: command.enqueue(tx, key=key))
    except (UnknownName, KeyReused):
        raise
    except EarmarkError as error:
        return _template_form(request, error, form)
    return go(f"/tasks/{task.id}")


def _template_form(
    request: Request, error: EarmarkError | None, form: Form
) -> Response:
    vm_id = request.path_params["vm"]
    shown = site_of(request).read(lambda tx: machines.vm_view(tx, vm_id))
    name = replace(TEMPLATE_NAME, value=form.get("name", ""))
    if error is None:
        return show(request, TemplateFormPage(shown, fresh_key(), name))
    fields = error.fields if isinstance(error, BadInput) else {}
    name = replace(name, error=fields.get("name") or said(error))
    status = 422 if status_of(error) == 400 else status_of(error)
    return show(request, TemplateFormPage(shown, fresh_key(), name), status)


ROUTES = [
    Route("/", home),
    Route("/vms", vms),
    Route("/vms/{vm}", vm),
    Route("/vms/{vm}/actions/{verb}", posting(power), methods=["POST"]),
    Route("/vms/{vm}/templates", posting(add_template), methods=["POST"]),
    Route("/vms/{vm}/templates/new", new_template),
]
