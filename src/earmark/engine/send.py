"""Send: the intent is durable first, then the bytes leave, then the answer is bound.

`intend` commits the placeholder as `sending` with a new nonce. Only then may the one
changing call be made; `answer` writes what came of it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import EffectClass, Operation
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    CommitUnknown,
    NotSent,
    Refused,
    Rejected,
    Stale,
    StoreAway,
    Throttled,
)
from earmark.domain.ids import new_id
from earmark.domain.outcome import Done
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.answer import Sent
from earmark.engine.authored import in_ctx
from earmark.engine.boundary import boundary
from earmark.engine.claim import GRACE_SECONDS, allow
from earmark.engine.ctx import EngineCtx
from earmark.engine.judge import token_valid
from earmark.engine.restored import doubt_restored, must_ask, unprepared
from earmark.engine.results import dumped
from earmark.engine.runtime import Engine
from earmark.engine.settle import (
    Stopped,
    settle_failed,
    settle_nothing_to_do,
    settle_stopped,
)
from earmark.engine.told import told
from earmark.store import epoch, inventory, journal, placeholders, sends, tasks
from earmark.store.database import Transaction


def send(engine: Engine, task: Task, command: ExternalJob[Any]) -> None:
    """Send the effect of a claimed and planned task.

    Ends with the effect bound, in doubt, refused, planned again, or back with those
    who probe. `prepare` may raise anything: nothing was sent, so the task just fails.
    """
    try:
        _send(engine, task, command)
    except Stopped:
        settle_stopped(engine, task)
    except (Stale, StoreAway, CommitUnknown):
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        settle_failed(engine, task, error, command)


def _send(engine: Engine, task: Task, command: ExternalJob[Any]) -> None:
    effect, operation = engine.read(lambda tx: _promised(engine, tx, task))
    restored = task.restored and engine.read(lambda tx: must_ask(tx, task, effect))
    request = effect.request
    first = effect.first_sent_at is None
    if first or engine.read(lambda tx: unprepared(tx, task, effect)):
        task = allow(engine, task, command.deadlines.call)
        prepared = _prepare(engine, task, command, effect)
        if isinstance(prepared, Done) and not restored:
            if effect.state is PlaceholderState.IN_DOUBT:
                # A person's: settled as done, it would never be looked for again.
                raise Rejected(
                    "There is nothing to do any more, and what may have been sent "
                    "before the store was put back is not found."
                )
            settle_nothing_to_do(engine, task, command, prepared)
            return
        # Restored: "nothing to do" may be our own doing, so it is looked for.
        request = None if isinstance(prepared, Done) else dumped(prepared)
        # Restored: what is there now may be ours, so nothing is noted as there before.
        if operation.effect is EffectClass.TASKS and first and not restored:
            task = allow(engine, task, command.deadlines.call)
            effect = _note_before(engine, task, command, effect, request)
    if restored:
        doubt_restored(engine, task, effect, operation, request)
        return
    # What can fail before the bytes fails here, where it is no doubt.
    engine.session(effect.provider_id)
    # From here, as in the row: a commit that took its time leaves the call less of it.
    deadline = Deadline(operation.send_seconds)
    intended = intend(engine, task, effect, operation, request)
    if intended is None:
        return
    sent = Sent(
        engine,
        task,
        command,
        effect.id,
        str(intended.nonce),
        # Also when a person had it sent again, not knowing what the first one did.
        in_doubt_before=effect.doubt_since is not None,
    )
    ctx = EngineCtx(engine, task, deadline, intended)
    boundary("send.committed")
    try:
        handle = in_ctx(lambda: command.send(ctx))
    except (NotSent, Throttled) as error:
        sent.not_sent(error)
    except Refused as error:
        sent.refuse(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is doubt (rule 2)
        sent.doubt(f"The request's outcome is unknown: {told(error)}", over=True)
    else:
        boundary("send.answered")
        sent.bind(handle)
    finally:
        ctx.close()


def _promised(
    engine: Engine, tx: Transaction, task: Task
) -> tuple[Placeholder, Operation]:
    effect = placeholders.of_task(tx, task.id)
    assert effect is not None, "plan comes before send"
    provider = inventory.provider(tx, effect.provider_id)
    return effect, engine.operation(provider, effect.operation)


def _prepare(
    engine: Engine, task: Task, command: ExternalJob[Any], effect: Placeholder
) -> Any:
    ctx = EngineCtx(engine, task, Deadline(command.deadlines.call), effect)
    prepared = in_ctx(lambda: command.prepare(ctx))
    boundary("prepare.done")
    return prepared


def _note_before(
    engine: Engine,
    task: Task,
    command: ExternalJob[Any],
    effect: Placeholder,
    request: Any,
) -> Placeholder:
    """Record what fits the description before the first send: none of that is ours,
    whatever comes of it (rule 3)."""
    described = replace(effect, request=request)
    ctx = EngineCtx(engine, task, Deadline(command.deadlines.call), described)
    there = in_ctx(lambda: [found.id for found in command.find(ctx)])
    return engine.write(lambda tx: placeholders.change(tx, effect, seen_before=there))


def intend(
    engine: Engine,
    task: Task,
    effect: Placeholder,
    operation: Operation,
    request: Any,
) -> Placeholder | None:
    """Commit the intent: from here on, the request may have left.

    None when a resend may not leave any more (asked to stop, or the token's life is
    over): then it is probed again. Raises `Stopped` when nothing was ever sent and
    nothing shall be, `Stale` when the task was taken over meanwhile.
    """
    nonce = new_id()
    again = effect.state is PlaceholderState.IN_DOUBT

    def work(tx: Transaction) -> Placeholder | None:
        current = tasks.lock_family(tx, task.id)
        same = epoch.unchanged(tx, engine.database.file)
        if current.restored != task.restored or not same:
            # Since it was claimed. Its worker lets go of it, once it is marked.
            raise Stale("The store was put back from an older copy.")
        if current.stop_requested and not again:
            raise Stopped
        if again and (
            current.stop_requested or not token_valid(effect, operation, tx.now)
        ):
            placeholders.change(tx, effect, resend=False, next_check_at=tx.now)
            tasks.rest(tx, task)
            return None
        seconds = operation.send_seconds + GRACE_SECONDS
        tasks.change(tx, task, deadline_at=tx.now + timedelta(seconds=seconds))
        sends.insert(tx, effect.id, nonce, str(task.worker_id))
        intended = placeholders.move(
            tx,
            effect,
            PlaceholderState.SENDING,
            nonce=nonce,
            request=request,
            resend=False,
            first_sent_at=effect.first_sent_at or tx.now,
        )
        text = f"{effect.operation} with token {effect.id}"
        text = f"{'Sending again' if again else 'Sending'} {text}."
        placeholders.witness(tx, effect.id, "sending", text, nonce=nonce)
        journal.log(tx, task.id, text)
        return intended

    def landed(tx: Transaction) -> bool:
        return placeholders.get(tx, effect.id).nonce == nonce

    return engine.database.write(work, landed=landed)
