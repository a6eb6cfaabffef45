"""Onboarding, as a browser goes through it: the form is sent and kept as a draft, its
credentials are verified by a task, and the end of that task makes the provider."""

from collections.abc import Mapping
from dataclasses import dataclass

from earmark.commands import onboarding
from earmark.domain.errors import NameTaken, UnknownName
from earmark.domain.ids import new_id
from earmark.domain.states import Outcome
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine.tx import EngineTx
from earmark.store import dialect, drafts, tasks
from earmark.store.database import Transaction
from earmark.store.drafts import Draft
from earmark.web.continuations import register_continuation, wait_href
from earmark.web.reading.tasks import by_ids
from earmark.web.site import Site
from earmark.web.views import Notice, Ref

#: The continuation of a verification: the provider is made, or the form is shown again.
NEXT = "create-provider"
#: What each code of a verification means, in words.
CODES: Mapping[str, str] = {
    "auth": "The provider refused the credentials",
    "dns": "The host name cannot be found",
    "tls": "The provider's certificate cannot be trusted",
    "timeout": "The provider did not answer in time",
    "refused": "The provider cannot be reached there",
}


@dataclass(frozen=True)
class SentForm:
    """A form for a new provider, as it was sent; its secrets are in memory only."""

    name: str
    kind: str
    zone: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]


def form_href(draft: Draft) -> str:
    """Address the form again, with the draft's values."""
    return f"/providers/new?draft={draft.id}"


def verify(
    tx: EngineTx, sent: SentForm, key: str | None, replaced: Draft | None
) -> Task:
    """Queue the verification and keep the form, together or not at all.

    The same key makes one task and one draft. Raises as `onboarding.checked_request`.
    """
    command = onboarding.checked_request(
        tx,
        name=sent.name,
        kind=sent.kind,
        zone=sent.zone,
        settings=sent.settings,
        secret_values=sent.secrets,
    )
    task = command.enqueue(tx, key=key)
    if _draft_of(tx.store, task.id) is not None:
        return task
    draft = Draft(
        id=new_id(),
        owner=LOCAL_OWNER,
        name=sent.name,
        kind=sent.kind,
        zone=sent.zone,
        settings=dict(command.settings),
        secrets=onboarding.seal_all(tx, sent.secrets),
        task_id=task.id,
        provider_id=None,
    )
    drafts.insert(tx.store, draft)
    if replaced is not None and replaced.provider_id is None:
        drafts.delete(tx.store, replaced)
    return task


def create_provider(site: Site, task_id: str) -> str:
    """Make the verified provider, once, and return its address; the form's address
    when it cannot be made."""

    def work(tx: EngineTx) -> str:
        dialect.lock_names(tx.store.connection, [f"draft:{task_id}"])
        draft = drafts.of_task(tx.store, task_id, LOCAL_OWNER)
        if draft.provider_id is not None:
            return _added(draft.provider_id)
        if trouble_of(tasks.get(tx.store, task_id)) is not None:
            return form_href(draft)
        provider = onboarding.add_provider(
            tx,
            name=draft.name,
            kind=draft.kind,
            zone=draft.zone,
            settings=draft.settings,
            secret_ids=draft.secrets,
        )
        drafts.change(tx.store, draft.id, provider_id=provider.id)
        return _added(provider.id)

    try:
        return site.transact(work)
    except NameTaken:
        draft = site.read(lambda tx: drafts.of_task(tx, task_id, LOCAL_OWNER))
        return form_href(draft)


def _added(provider_id: str) -> str:
    return f"/providers/{provider_id}?added=1"


def trouble_of(task: Task) -> str | None:
    """Say why a verification lets no provider be made; None when it was good.

    The task is over: it has ended, or is held.
    """
    result = task.result if isinstance(task.result, dict) else {}
    code = str(result.get("code", ""))
    if task.done and task.outcome in (Outcome.OK, Outcome.WARNED):
        if code == "ok":
            return None
        detail = str(result.get("detail", ""))
        return f"{CODES.get(code, 'It did not work')} ({code}). {detail}"
    how = task.outcome if task.done else task.state
    return f"The credentials could not be verified: {how}. {task.message}".strip()


def unfinished(tx: Transaction) -> tuple[Notice, ...]:
    """Tell of the forms that have not become providers yet, and where to go on."""
    kept = drafts.unfinished(tx, LOCAL_OWNER)
    checks = {task.id: task for task in by_ids(tx, {it.task_id or "" for it in kept})}
    return tuple(
        _notice(draft, checks[draft.task_id])
        for draft in kept
        if draft.task_id in checks
    )


def forget(tx: Transaction, draft_id: str) -> None:
    """Throw a form away, with its secrets; one that became a provider stays."""
    draft = drafts.get(tx, draft_id, LOCAL_OWNER)
    if draft.provider_id is None:
        drafts.delete(tx, draft)


def _notice(draft: Draft, task: Task) -> Notice:
    go_on = Ref("wait", draft.id, "Go on", wait_href(task.id, NEXT))
    if not task.done:
        return Notice("busy", f"“{draft.name}” is being verified.", go_on)
    trouble = trouble_of(task)
    if trouble is None:
        return Notice("ok", f"“{draft.name}” is verified, not added yet.", go_on)
    correct = Ref("form", draft.id, "Correct it", form_href(draft))
    words = f"“{draft.name}” was not added."
    return Notice("bad", words, correct, trouble, id=draft.id)


def _draft_of(tx: Transaction, task_id: str) -> Draft | None:
    try:
        return drafts.of_task(tx, task_id, LOCAL_OWNER)
    except UnknownName:
        return None


register_continuation(NEXT, create_provider, lambda task: "/providers")
