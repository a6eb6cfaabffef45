"""Orphans: the page, and what a person decides about one."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import AdoptOrphan, DestroyOrphan, SweepProvider
from earmark.domain.command import Command
from earmark.domain.errors import BadInput, KeyReused
from earmark.engine import describe
from earmark.engine.orphaned import refuse_unless_open
from earmark.store import inventory, orphans
from earmark.store.database import Transaction
from earmark.web.continuations import initiate_wait_for_task, register_continuation
from earmark.web.flash import notices_of
from earmark.web.orphans import AdoptPage, DestroyPage, OrphansPage, OrphanView
from earmark.web.reading.orphans import decided_page, ledger, orphan_views
from earmark.web.site import (
    Form,
    Site,
    fresh_key,
    go,
    key_of,
    posting,
    show,
    site_of,
)
from earmark.web.views import FormField, TaskView

NEXT = "orphan-decided"
WHY = FormField("why", "Why it is wanted", help="It stays with it, and in the audit.")


def listing(request: Request) -> Response:
    """Show what nothing explains."""
    page = OrphansPage(site_of(request).read(ledger), fresh_key())
    return show(request, page, notices=notices_of(request))


def decided(request: Request) -> Response:
    """Show what was decided, and what is gone."""
    return show(request, site_of(request).read(decided_page))


def ask_adopt(request: Request) -> Response:
    """Ask why it is wanted."""
    return _form(request, WHY)


def adopt(request: Request, form: Form) -> Response:
    """Queue the adoption and wait for it, or ask again for the reason."""
    values = {"orphan": request.path_params["orphan"], "why": form.get("why", "")}
    try:
        return _ask(request, form, describe.build(AdoptOrphan, values))
    except KeyReused:
        raise
    except BadInput as wrong:
        if "why" not in wrong.fields:
            raise
        said = FormField(
            "why", WHY.label, value=values["why"], error=wrong.fields["why"]
        )
        return _form(request, said, 422)


def ask_destroy(request: Request) -> Response:
    """Ask whether it is meant."""
    return show(request, DestroyPage(_one(request), fresh_key()))


def destroy(request: Request, form: Form) -> Response:
    """Queue the destruction and wait for it."""
    return _ask(request, form, DestroyOrphan(orphan=request.path_params["orphan"]))


def sweep(request: Request, form: Form) -> Response:
    """Queue a sweep of a provider, and show the orphans."""
    command = SweepProvider(provider=request.path_params["provider"])
    key = key_of(request, form)
    task = site_of(request).transact(lambda tx: command.enqueue(tx, key=key))
    return go("/orphans", task=task.id)


def _ask(request: Request, form: Form, command: Command[str]) -> Response:
    key = key_of(request, form)
    task = site_of(request).transact(lambda tx: command.enqueue(tx, key=key))
    return initiate_wait_for_task(task, NEXT)


def _form(request: Request, field: FormField, status: int = 200) -> Response:
    return show(request, AdoptPage(_one(request), field, fresh_key()), status)


def _one(request: Request) -> OrphanView:
    """The orphan, if nobody has decided about it."""

    def work(tx: Transaction) -> OrphanView:
        found = orphans.find(tx, request.path_params["orphan"])
        refuse_unless_open(found)
        providers = {it.id: it for it in inventory.list_providers(tx)}
        return orphan_views(tx, [found], providers)[0]

    return site_of(request).read(work)


def _decided(site: Site, task_id: str) -> str:
    return f"/orphans?task={task_id}"


def _meanwhile(task: TaskView) -> str:
    return "/orphans"


register_continuation(NEXT, _decided, _meanwhile)

_ONE = "/orphans/{orphan}"
ROUTES = [
    Route("/orphans", listing),
    Route("/orphans/decided", decided),
    Route(f"{_ONE}/adopt", ask_adopt),
    Route(f"{_ONE}/adopt", posting(adopt), methods=["POST"]),
    Route(f"{_ONE}/destroy", ask_destroy),
    Route(f"{_ONE}/destroy", posting(destroy), methods=["POST"]),
    Route("/providers/{provider}/sweep", posting(sweep), methods=["POST"]),
]
