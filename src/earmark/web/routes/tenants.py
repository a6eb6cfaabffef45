"""Tenants: the list, and the form that creates one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import CreateTenant
from earmark.domain.errors import BadInput, EarmarkError, KeyReused
from earmark.domain.inventory import Provider
from earmark.engine import describe
from earmark.store.database import Transaction
from earmark.web.continuations import initiate_wait_for_task
from earmark.web.faults import status_of
from earmark.web.flash import notices_of
from earmark.web.pages import TenantFormPage, TenantsPage
from earmark.web.reading.tenants import tenant_views
from earmark.web.site import Form, fresh_key, key_of, posting, show, site_of, told
from earmark.web.tenancy import NEXT, able, failed, success
from earmark.web.views import FormField, Notice

FIELDS = (
    FormField("provider", "Provider", "select", help="Where the tenant is to be."),
    FormField("name", "Name"),
    FormField("description", "Description", required=False),
)


def tenants(request: Request) -> Response:
    """Show all tenants, and tell of the one that was just asked for."""
    query = request.query_params
    task_id = query.get("background") or query.get("task", "")

    def work(tx: Transaction) -> tuple[TenantsPage, Notice | None]:
        return TenantsPage(tenant_views(tx)), success(tx, task_id)

    page, made = site_of(request).read(work)
    return show(request, page, notices=(made,) if made else notices_of(request))


def new_tenant(request: Request) -> Response:
    """Show the form: empty, or as it was sent before with what came of that."""
    task_id = request.query_params.get("again")
    if not task_id:
        return _form(request, {})
    values, notice = site_of(request).read(lambda tx: failed(tx, task_id))
    return _form(request, values, notice=notice)


def add_tenant(request: Request, form: Form) -> Response:
    """Queue the making and wait for it, or show what is wrong with the form."""
    site, key = site_of(request), key_of(request, form)
    values = {field.name: form.get(field.name, "").strip() for field in FIELDS}
    try:
        command = describe.build(CreateTenant, values)
        task = site.transact(lambda tx: command.enqueue(tx, key=key))
    except KeyReused:
        raise
    except EarmarkError as error:
        errors = error.fields if isinstance(error, BadInput) else {}
        notice = Notice("bad", "The tenant was not asked for.", detail=told(error))
        status = 409 if status_of(error) == 409 else 422
        # What stands beside its field need not be said twice.
        return _form(request, values, errors, None if errors else notice, status)
    return initiate_wait_for_task(task, NEXT)


def _form(
    request: Request,
    values: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    homes = site.read(lambda tx: able(site.engine, tx))
    page = TenantFormPage(_fields(homes, values, errors or {}), fresh_key())
    return show(request, page, status, (notice,) if notice else ())


def _fields(
    homes: Sequence[Provider], values: Mapping[str, str], errors: Mapping[str, str]
) -> tuple[FormField, ...]:
    if not homes:
        return ()
    choices = tuple(home.name for home in homes)
    return tuple(
        replace(
            field,
            value=values.get(field.name, ""),
            error=errors.get(field.name),
            choices=choices if field.type == "select" else (),
        )
        for field in FIELDS
    )


ROUTES = [
    Route("/tenants", tenants),
    Route("/tenants", posting(add_tenant), methods=["POST"]),
    Route("/tenants/new", new_tenant),
]
