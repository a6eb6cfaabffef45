"""VMs: the list, one of them, and its buttons."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import AddVmTemplate
from earmark.commands.power_plans import power
from earmark.domain.command import Command
from earmark.domain.errors import (
    BadInput,
    EarmarkError,
    KeyReused,
    Rejected,
    UnknownName,
)
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import describe
from earmark.engine.tx import EngineTx
from earmark.store import inventory, notifications
from earmark.store.database import Transaction
from earmark.web.faults import status_of
from earmark.web.flash import notices_of
from earmark.web.listing import vms_more
from earmark.web.pages import TEMPLATE_NAME, TemplateFormPage, VmPage, VmsPage
from earmark.web.reading import machines
from earmark.web.reading import tasks as reading_tasks
from earmark.web.site import (
    Form,
    Site,
    choosing,
    fresh_key,
    go,
    key_of,
    posting,
    show,
    site_of,
    told,
)
from earmark.web.views import Notice, VmView


def home(request: Request) -> Response:
    """Send whoever opens the site to the VMs."""
    return go("/vms")


def vms(request: Request) -> Response:
    """Show a page of the list."""
    query = request.query_params
    page = _list(request, query, every=query.get("select") == "all")
    return show(request, page, notices=notices_of(request))


def _list(
    request: Request,
    query: Form,
    chosen: Collection[str] = (),
    *,
    every: bool = False,
) -> VmsPage:
    q, after = query.get("q", "").strip(), query.get("after", "")

    def work(tx: Transaction) -> VmsPage:
        listed = machines.list_vms(tx, q, after)
        shown = tuple(machines.vm_views(tx, listed[: machines.PAGE]))
        return VmsPage(
            vms=shown,
            q=q,
            after=after,
            has_providers=bool(inventory.list_providers(tx)),
            more_href=vms_more(listed, q),
            idempotency_key=fresh_key(),
            chosen=frozenset(vm.id for vm in shown) if every else frozenset(chosen),
        )

    return site_of(request).read(work)


def power_many(request: Request, form: Form, chosen: tuple[str, ...]) -> Response:
    """Queue one power action for the chosen VMs, and show the list again; or say what
    stands in the way, with those still chosen that are there."""
    site, key = site_of(request), key_of(request, form)

    try:
        if not chosen:
            raise BadInput("No VM is chosen.", hint="Tick some, then press again.")
        gone = site.read(lambda tx: _gone(tx, chosen))
        if gone:
            chosen = tuple(vm for vm in chosen if vm not in gone)
            raise Rejected(_of_gone(list(gone.values()), len(chosen)), code="gone")
        task = _power(site, power(form.get("verb", ""), chosen), key)
    except KeyReused:
        raise
    except EarmarkError as error:
        notice = Notice("bad", told(error))
        page = _list(request, form, chosen)
        return show(request, page, status_of(error), (notice,))
    kept = {name: form[name] for name in ("q", "after") if form.get(name)}
    return go("/vms", **kept, task=task.id)


def _gone(tx: Transaction, chosen: Sequence[str]) -> dict[str, str]:
    """Id → name of those that their provider no longer lists."""
    there = {row.id for row in machines.vms_by_ids(tx, chosen)}
    names = inventory.vm_names(tx, chosen)
    return {vm: names.get(vm, vm) for vm in chosen if vm not in there}


def _of_gone(names: Sequence[str], left: int) -> str:
    are = "is" if len(names) == 1 else "are"
    rest = f" The other {left} are still chosen: press again." if left else ""
    what = ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")
    return f"{what} {are} gone since you looked. Nothing was asked for.{rest}"


def vm(request: Request) -> Response:
    """Show one VM."""
    site = site_of(request)

    def work(tx: Any) -> VmPage:
        shown = machines.vm_ever_view(tx, request.path_params["vm"])
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
    known = connector is not None and "image.copy" in connector.operations
    return known and vm.gone_at is None


def power_one(request: Request, form: Form) -> Response:
    """Queue a power action, and show the VM again."""
    command = power(request.path_params["verb"], [request.path_params["vm"]])
    task = _power(site_of(request), command, key_of(request, form))
    return go(f"/vms/{task.object_id}", task=task.id)


def _power(site: Site, command: Command[Any], key: str | None) -> Task:
    """Queue it; nobody waits for it, so its end becomes a notification."""

    def work(tx: EngineTx) -> Task:
        task = command.enqueue(tx, key=key)
        notifications.subscribe(tx.store, task.id, LOCAL_OWNER, "task")
        return task

    return site.transact(work)


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
    name = replace(name, error=fields.get("name") or told(error))
    status = 422 if status_of(error) == 400 else status_of(error)
    return show(request, TemplateFormPage(shown, fresh_key(), name), status)


ROUTES = [
    Route("/", home),
    Route("/vms", vms),
    Route("/vms/actions", choosing("vm", power_many), methods=["POST"]),
    Route("/vms/{vm}", vm),
    Route("/vms/{vm}/actions/{verb}", posting(power_one), methods=["POST"]),
    Route("/vms/{vm}/templates", posting(add_template), methods=["POST"]),
    Route("/vms/{vm}/templates/new", new_template),
]
