"""Providers: the list, one of them, and the form that adds one."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import RefreshProvider
from earmark.commands.onboarding import refuse_taken
from earmark.domain.connector import Connector
from earmark.domain.errors import BadInput, EarmarkError, KeyReused
from earmark.domain.task import LOCAL_OWNER
from earmark.engine.enqueue import asked_before, open_tx
from earmark.store import drafts, inventory
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.store.drafts import Draft
from earmark.web import forms
from earmark.web.continuations import initiate_wait_for_task
from earmark.web.faults import status_of
from earmark.web.flash import notices_of
from earmark.web.onboarding import (
    NEXT,
    SentForm,
    forget,
    trouble_of,
    unfinished,
    verify,
)
from earmark.web.pages import ProviderFormPage, ProviderPage, ProvidersPage
from earmark.web.reading import tasks as reading_tasks
from earmark.web.reading.providers import provider_views
from earmark.web.site import Form, fresh_key, go, key_of, posting, show, site_of
from earmark.web.site import told as said
from earmark.web.views import FormField, Notice


def providers(request: Request) -> Response:
    """Show all providers, and the forms that have not become one yet."""

    def work(tx: Transaction) -> tuple[ProvidersPage, tuple[Notice, ...]]:
        views = provider_views(tx, inventory.list_providers(tx))
        return ProvidersPage(tuple(views), fresh_key()), unfinished(tx)

    page, notices = site_of(request).read(work)
    return show(request, page, notices=(*notices_of(request), *notices))


def provider(request: Request) -> Response:
    """Show one provider."""

    def work(tx: Transaction) -> ProviderPage:
        found = inventory.provider(tx, request.path_params["provider"])
        recent = reading_tasks.recent_on(tx, "provider", [found.id])
        view = provider_views(tx, [found])[0]
        return ProviderPage(view, recent.get(found.id, ()), fresh_key())

    page = site_of(request).read(work)
    notices = notices_of(request)
    if request.query_params.get("added"):
        words = f"“{page.provider.name}” was verified and added."
        detail = "Its VMs appear as soon as the first refresh has ended."
        notices = (Notice("ok", words, detail=detail), *notices)
    return show(request, page, notices=notices)


def refresh(request: Request, form: Form) -> Response:
    """Queue a refresh, and show the provider."""
    command = RefreshProvider(provider=request.path_params["provider"])
    key = key_of(request, form)
    task = site_of(request).transact(lambda tx: command.enqueue(tx, key=key))
    return go(f"/providers/{task.object_id}", task=task.id)


def new_provider(request: Request) -> Response:
    """Show the form: empty, or as it was sent before with what came of that."""
    site, draft_id = site_of(request), request.query_params.get("draft")
    if draft_id:
        draft = site.read(lambda tx: drafts.get(tx, draft_id, LOCAL_OWNER))
        return _again(request, draft)
    kind = request.query_params.get("kind")
    return _form(request, site.engine.connector(kind) if kind else None, {})


def _again(request: Request, draft: Draft) -> Response:
    site = site_of(request)
    if draft.provider_id is not None:
        return go(f"/providers/{draft.provider_id}")
    task = site.read(lambda tx: rows.find(tx, draft.task_id or ""))
    if task is not None and not (task.done or task.state == "held"):
        return initiate_wait_for_task(task, NEXT)
    trouble = trouble_of(task) if task is not None else None
    errors: Mapping[str, str] = {}
    try:
        site.read(lambda tx: refuse_taken(open_tx(site.engine, tx), draft.name))
    except BadInput as taken:
        errors, trouble = taken.fields, trouble or said(taken)
    values = {**draft.settings, "name": draft.name, "zone": draft.zone}
    connector = site.engine.connector(draft.kind)
    return _form(request, connector, values, errors, trouble, draft)


def add_provider(request: Request, form: Form) -> Response:
    """Queue the verification and wait for it, or show what is wrong with the form."""
    site, key = site_of(request), key_of(request, form)
    connector = site.engine.connector(form.get("kind", ""))
    draft = None
    try:
        draft = _draft_of(request, form)
        sent = _sent(request, connector, form, draft)
        task = site.transact(lambda tx: verify(tx, sent, key, draft))
    except KeyReused:
        raise
    except EarmarkError as error:
        # Sent twice, the first may have used up the draft, or taken the name.
        before = site.read(lambda tx: asked_before(tx, LOCAL_OWNER, key or ""))
        if before is not None:
            return initiate_wait_for_task(before, NEXT)
        status = 409 if status_of(error) == 409 else 422
        fields = error.fields if isinstance(error, BadInput) else {}
        # What stands beside its field need not be said twice.
        general = None if set(fields) & _asked(connector) else said(error)
        return _form(request, connector, form, fields, general, draft, status)
    return initiate_wait_for_task(task, NEXT)


def dismiss(request: Request, form: Form) -> Response:
    """Throw away a form that a notice tells of."""
    site, draft_id = site_of(request), request.path_params["notice"]
    site.engine.write(lambda tx: forget(tx, draft_id))
    return go("/providers")


def _draft_of(request: Request, form: Form) -> Draft | None:
    """The form that this one corrects, if its secrets are to be had still."""
    draft_id = form.get("draft")
    if not draft_id:
        return None
    site = site_of(request)
    draft = site.read(lambda tx: drafts.get(tx, draft_id, LOCAL_OWNER))
    return draft if draft.kind == form.get("kind") else None


def _sent(
    request: Request, connector: Connector, form: Form, draft: Draft | None
) -> SentForm:
    """Read the form; a secret left empty is the sealed one of before, opened here."""
    kept = draft.secrets if draft is not None else {}
    secrets = {}
    for name in connector.secrets:
        if form.get(name):
            secrets[name] = form[name]
        elif name in kept:
            secrets[name] = site_of(request).engine.reveal(kept[name])
    settings = {
        name: form[name].strip()
        for name in forms.settings_fields(connector)
        if form.get(name, "").strip()
    }
    return SentForm(
        name=form.get("name", "").strip(),
        kind=connector.kind,
        zone=form.get("zone", "").strip(),
        settings=settings,
        secrets=secrets,
    )


def _asked(connector: Connector) -> set[str]:
    return {
        "name",
        "zone",
        *forms.settings_fields(connector),
        *connector.secrets,
    }


def _form(
    request: Request,
    connector: Connector | None,
    values: Mapping[str, Any],
    errors: Mapping[str, str] | None = None,
    error: str | None = None,
    draft: Draft | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    kinds = forms.kinds(site.engine.connectors)
    fields: tuple[FormField, ...] = ()
    if connector is not None:
        zones = site.read(inventory.zone_names)
        kept = draft is not None
        fields = forms.provider_fields(connector, zones, values, errors or {}, kept)
    page = ProviderFormPage(
        kinds=kinds,
        kind=next(
            (it for it in kinds if connector and it.name == connector.kind), None
        ),
        fields=fields,
        idempotency_key=fresh_key(),
        error=error,
        draft=draft.id if draft else None,
    )
    return show(request, page, status)


ROUTES = [
    Route("/providers", providers),
    Route("/providers", posting(add_provider), methods=["POST"]),
    Route("/providers/new", new_provider),
    Route("/providers/{provider}", provider),
    Route("/notices/{notice}/dismiss", posting(dismiss), methods=["POST"]),
    Route("/providers/{provider}/refresh", posting(refresh), methods=["POST"]),
]
