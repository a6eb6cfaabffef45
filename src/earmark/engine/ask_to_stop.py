"""Ask to stop: a job is no longer wanted, so its provider is asked to stop it. That it
was asked proves nothing: the job is polled to its end, which counts."""

from datetime import timedelta

from earmark.domain.command import ExternalJob
from earmark.domain.deadline import Deadline
from earmark.domain.errors import NotSent, Refused
from earmark.engine.asking import NothingToDo
from earmark.engine.authored import in_ctx
from earmark.engine.boundary import boundary
from earmark.engine.due import Check
from earmark.engine.told import told
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction

#: A job that goes on although the provider was asked is asked for again, this often.
ASK_EVERY = timedelta(seconds=30)


def wants_stop(check: Check) -> bool:
    """True for a job that was cancelled, and that its command can ask to stop."""
    can = type(check.command).cancel is not ExternalJob.cancel
    return can and check.task.cancelled_by is not None


def ask_to_stop(check: Check, deadline: Deadline) -> None:
    """Ask, and note that it was asked; not more often than every `ASK_EVERY`.

    A provider that surely was not asked is asked again with the next poll. When the
    answer was lost it may have heard, and may stop. Raises `Stale` when somebody else
    was first.
    """
    engine, effect = check.engine, check.effect
    asked_at = effect.cancel_asked_at
    if asked_at is not None:
        now = engine.read(lambda tx: tx.now)
        if now - asked_at < ASK_EVERY:
            return
    ctx, job = check.ctx(deadline), effect.external_id or ""
    try:
        in_ctx(lambda: check.command.cancel(ctx, job))
    except Exception as error:  # noqa: BLE001 - nothing is concluded from it
        text = f"The provider could not be asked to stop it: {told(error)}"
        heard = not isinstance(error, (NotSent, Refused, NothingToDo))
        engine.write(lambda tx: _complain(tx, check, text, heard))
        return
    boundary("cancel.asked")

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, check.task.id)
        check.effect = placeholders.change(tx, effect, cancel_asked_at=tx.now)
        text = "The provider was asked to stop it."
        placeholders.witness(tx, effect.id, "cancel", text)
        journal.log(tx, check.task.id, text)

    engine.write(work)


def _complain(tx: Transaction, check: Check, text: str, heard: bool) -> None:
    task = tasks.lock_family(tx, check.task.id)
    if heard:
        effect = placeholders.change(tx, check.effect, cancel_asked_at=tx.now)
        placeholders.witness(tx, effect.id, "cancel", text)
        check.effect = effect
    if task.message != text:
        journal.log(tx, task.id, text, "warning")
        tasks.change(tx, task, message=text)
