"""Send: the intent is durable first, then the bytes leave, then the answer is bound.

`intend` commits the placeholder as `sending` with a new nonce. Only then may the one
changing call be made. What comes of it is written by `bind`, `not_sent`, `refuse` or
`doubt`, each fenced by the nonce, so that a late writer changes nothing; what a late
answer knows is kept as evidence all the same.
"""

from datetime import timedelta
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import Operation
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    CommitUnknown,
    NotSent,
    Refused,
    Stale,
    Throttled,
    Unavailable,
)
from earmark.domain.ids import new_id
from earmark.domain.outcome import Done
from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.boundary import boundary
from earmark.engine.ctx import EngineCtx
from earmark.engine.doubt import raise_doubt
from earmark.engine.runtime import Engine
from earmark.engine.settle import (
    dumped,
    settle_failed,
    settle_nothing_to_do,
    settle_stopped,
    told,
)
from earmark.engine.wake import End, end
from earmark.store import inventory, journal, placeholders, tasks
from earmark.store.database import Transaction

#: Added to a send's deadline before anybody else calls it hung.
GRACE_SECONDS = 5.0


class _Stopped(Exception):
    """The stop flag was up when the intent was about to be committed (rule 10)."""


class Sending:
    """One send of one effect: what `send` promises, for one nonce."""

    def __init__(self, engine: Engine, task: Task, command: ExternalJob[Any]) -> None:
        self.engine = engine
        self.task = task
        self.command = command
        self.effect = engine.read(lambda tx: _effect_of(tx, task))
        self.operation = engine.read(self._operation)
        self.nonce = new_id()
        #: True when an earlier send may have left: then a no, or a failure to
        #: connect, says nothing about what that one did.
        self.sent_before = self.effect.first_sent_at is not None

    def _operation(self, tx: Transaction) -> Operation:
        provider = inventory.provider(tx, self.effect.provider_id)
        return self.engine.operation(provider, self.effect.operation)

    def run(self) -> None:
        """The whole step. Ends with the effect bound, in doubt, refused or planned."""
        request = self.effect.request
        if not self.sent_before:
            prepared = self._prepare()
            if isinstance(prepared, Done):
                settle_nothing_to_do(self.engine, self.task, self.command, prepared)
                return
            request = dumped(prepared)
        self.intend(request)
        deadline = Deadline(self.operation.send_seconds)
        ctx = EngineCtx(self.engine, self.task, deadline, self.effect)
        boundary("send.committed")
        try:
            handle = self.command.send(ctx)
        except (NotSent, Throttled) as error:
            self.not_sent(error)
        except Refused as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is doubt (rule 2)
            self.doubt(f"The request's outcome is unknown: {told(error)}", ended=True)
        else:
            boundary("send.answered")
            self.bind(handle)

    def _prepare(self) -> Any:
        seconds = self.command.deadlines.call
        ctx = EngineCtx(self.engine, self.task, Deadline(seconds), self.effect)
        prepared = self.command.prepare(ctx)
        boundary("prepare.done")
        return prepared

    def intend(self, request: Any) -> None:
        """Commit the intent: from here on, the request may have left.

        Raises `Stale` when the task was taken over meanwhile.
        """

        def work(tx: Transaction) -> Placeholder:
            seconds = self.operation.send_seconds + GRACE_SECONDS
            deadline = tx.now + timedelta(seconds=seconds)
            current = tasks.lock_family(tx, self.task.id)
            if current.stop_requested and not self.sent_before:
                raise _Stopped
            tasks.change(tx, self.task, deadline_at=deadline)
            sent = placeholders.move(
                tx,
                self.effect,
                PlaceholderState.SENDING,
                nonce=self.nonce,
                request=request,
                resend=False,
                sender_id=self.task.worker_id,
                first_sent_at=self.effect.first_sent_at or tx.now,
                last_sent_at=tx.now,
                sender_gone_at=None,
            )
            text = f"{self.effect.operation} with token {self.effect.id}"
            text = f"{'Sending again' if self.sent_before else 'Sending'} {text}."
            placeholders.witness(tx, sent.id, "sending", text, nonce=self.nonce)
            journal.log(tx, self.task.id, text)
            return sent

        def landed(tx: Transaction) -> bool:
            return placeholders.get(tx, self.effect.id).nonce == self.nonce

        self.effect = self.engine.database.write(work, landed=landed)

    def bind(self, handle: str) -> None:
        """The provider answered with its handle: the poller goes on from here."""
        if not isinstance(handle, str) or not handle:
            self.doubt(f"`send` returned {handle!r} instead of a handle.", ended=True)
            return

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            placeholders.move_sent(
                tx,
                self.effect.id,
                self.nonce,
                PlaceholderState.BOUND,
                external_id=handle,
                sender_gone_at=tx.now,
                next_check_at=tx.now,
                checks=0,
            )
            text = f"The provider accepted: {handle}."
            placeholders.witness(
                tx, self.effect.id, "reply", text, nonce=self.nonce, external_id=handle
            )
            journal.log(tx, self.task.id, text)
            tasks.move(tx, self.task, TaskState.WAITING, deadline_at=None)

        def landed(tx: Transaction) -> bool:
            return placeholders.get(tx, self.effect.id).external_id == handle

        try:
            self.engine.database.write(work, landed=landed)
        except Stale:
            self.late(f"A late answer named {handle}.", handle)
        else:
            boundary("bind.committed")

    def not_sent(self, error: NotSent | Throttled) -> None:
        """No byte left, or the provider says that it did nothing.

        Planned again, unless an earlier send is still unexplained.
        """
        if self.sent_before:
            self.doubt(f"Could not send again: {told(error)}", ended=True)
            return

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            placeholders.move_sent(
                tx,
                self.effect.id,
                self.nonce,
                PlaceholderState.PLANNED,
                first_sent_at=None,
                last_sent_at=None,
                request=None,
            )
            text = f"Nothing was sent: {told(error)}"
            placeholders.witness(tx, self.effect.id, "not-sent", text, nonce=self.nonce)
            journal.log(tx, self.task.id, text, "warning")
            if self.task.attempt < self.command.retry.attempts:
                pause = self.command.retry.pause(self.task.attempt)
                tasks.move(
                    tx,
                    self.task,
                    TaskState.QUEUED,
                    message=f"{text} Will try again.",
                    run_after=tx.now + pause,
                    deadline_at=None,
                )
                return
            effect = placeholders.get(tx, self.effect.id)
            placeholders.move(tx, effect, PlaceholderState.DROPPED)
            how = End.failed(f"{text} Tried {self.task.attempt} times.", error.code)
            end(tx, tasks.get(tx, self.task.id), how)

        self._write_or_note(work, f"A late send did not leave: {told(error)}")

    def refuse(self, error: Refused) -> None:
        """A definite no ends the effect, unless an earlier send may have landed."""
        if self.sent_before:
            self.doubt(f"Refused when sent again: {told(error)}", ended=True)
            return

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            placeholders.move_sent(
                tx, self.effect.id, self.nonce, PlaceholderState.REFUSED
            )
            text = f"The provider refused: {told(error)}"
            placeholders.witness(tx, self.effect.id, "refused", text, nonce=self.nonce)
            end(tx, tasks.get(tx, self.task.id), End.failed(text, error.code))

        self._write_or_note(work, f"A late send was refused: {told(error)}")

    def doubt(self, why: str, *, ended: bool) -> None:
        """It may have left and may have landed: ask the provider, guess nothing.

        `ended`: the call is over, so this sender sends nothing more; a call that hangs
        may still send, until its process is gone (rule 1).
        """

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            raise_doubt(
                tx, self.task, self.effect.id, why, nonce=self.nonce, gone=ended
            )

        self._write_or_note(work, f"A late call ended: {why}")

    def late(self, text: str, handle: str | None = None) -> None:
        """What a sender learned after others went on: evidence, and a nudge."""

        def work(tx: Transaction) -> None:
            placeholders.witness(
                tx, self.effect.id, "late", text, nonce=self.nonce, external_id=handle
            )
            journal.log(tx, self.task.id, text, "warning")
            placeholders.call_over(tx, self.effect.id, self.nonce)
            placeholders.postpone(tx, [self.effect.id], tx.now)

        self.engine.write(work)

    def _write_or_note(self, work: Any, text: str) -> None:
        try:
            self.engine.write(work)
        except Stale:
            self.late(text)


def send(engine: Engine, task: Task, command: ExternalJob[Any]) -> None:
    """Send the effect of a claimed and planned task.

    `prepare` may raise anything: nothing was sent, so the task simply fails.
    """
    try:
        Sending(engine, task, command).run()
    except _Stopped:
        settle_stopped(engine, task)
    except (Stale, Unavailable, CommitUnknown):
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        settle_failed(engine, task, error)


def _effect_of(tx: Transaction, task: Task) -> Placeholder:
    effect = placeholders.of_task(tx, task.id)
    assert effect is not None, "plan comes before send"
    return effect
