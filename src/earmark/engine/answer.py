"""Answer: what came of a send is written down, fenced by its nonce.

A writer that is late changes nothing, and what it knows is kept as evidence (rule 5).
The one thread that holds an answer must not lose it to a database that is away for a
moment: it tries for minutes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.errors import (
    CommitUnknown,
    NotSent,
    Refused,
    Stale,
    Throttled,
    Unavailable,
)
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Task
from earmark.engine.again import promise_again, tries_of, try_later
from earmark.engine.boundary import boundary
from earmark.engine.doubt import raise_doubt
from earmark.engine.end import End
from earmark.engine.not_undone import wait_for_provider
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.engine.wake import drop, end
from earmark.store import journal, placeholders, sends, tasks
from earmark.store.database import Transaction

#: How long an answer is held in hand while the database is away.
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One send: which effect, under which nonce, and whether an earlier one of it is
    unexplained. If so, a no says nothing about what the earlier one did."""

    engine: Engine
    task: Task
    command: ExternalJob[Any]
    effect_id: str
    nonce: str
    in_doubt_before: bool

    def bind(self, handle: str) -> None:
        """The provider answered with its handle: the poller goes on from here."""
        if not isinstance(handle, str) or not handle:
            self.doubt(f"`send` returned {handle!r} instead of a handle.", over=True)
            return

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            self._over(tx, handle)
            placeholders.move_sent(
                tx,
                self.effect_id,
                self.nonce,
                PlaceholderState.BOUND,
                external_id=handle,
                doubt_since=None,
                next_check_at=tx.now,
                checks=0,
                errors=0,
            )
            text = f"The provider accepted: {handle}."
            self._witness(tx, "reply", text, external_id=handle)
            journal.log(tx, self.task.id, text)
            tasks.rest(tx, self.task, message="")

        text = f"A late answer named {handle}."
        if self._write(work, text, handle):
            boundary("bind.committed")

    def not_sent(self, error: NotSent | Throttled) -> None:
        """No byte left, or the provider says that it did nothing.

        Planned again, unless an earlier send is unexplained or the task is to stop; a
        step of an undo as long as its provider is away.
        """
        said = told(error)
        if self.in_doubt_before:
            self.doubt(f"Could not send again: {said}", over=True, left=False)
            return

        def work(tx: Transaction) -> None:
            task = tasks.lock_family(tx, self.task.id)
            sends.never_left(tx, self.nonce)
            first = sends.of_placeholder(tx, self.effect_id)
            effect = placeholders.move_sent(
                tx,
                self.effect_id,
                self.nonce,
                PlaceholderState.PLANNED,
                first_sent_at=first[0].sent_at if first else None,
            )
            text = f"Nothing was sent: {said}"
            self._witness(tx, "not-sent", text)
            if wait_for_provider(tx, task, error, text):
                placeholders.unwitness_repeated(tx, self.effect_id, self.nonce)
                return
            journal.log(tx, task.id, text, "warning")
            tries = tries_of(task)
            if tries < self.command.retry.attempts and not task.stop_requested:
                try_later(tx, self.task, self.command.retry, text)
                return
            how = End.failed(f"{text} Tried {tries} times.", error.code)
            if task.stop_requested:
                how = End.cancelled("Stopped before anything was sent.")
            drop(tx, tasks.get(tx, task.id), effect, how)

        self._write(work, f"A late send did not leave: {said}")

    def refuse(self, error: Refused) -> None:
        """A definite no ends the effect, unless an earlier send may have landed."""
        said = told(error)
        if self.in_doubt_before:
            self.doubt(f"Refused when sent again: {said}", over=True, refusal=error)
            return

        def work(tx: Transaction) -> None:
            tasks.lock_family(tx, self.task.id)
            self._over(tx, refusal=error)
            refused = PlaceholderState.REFUSED
            effect = placeholders.move_sent(tx, self.effect_id, self.nonce, refused)
            text = f"The provider refused: {said}"
            self._witness(tx, "refused", text)
            task = tasks.get(tx, self.task.id)
            if not promise_again(tx, task, effect, self.command, error.code, text):
                end(tx, task, End.failed(text, error.code))

        self._write(work, f"A late send was refused: {said}", refusal=error)

    def doubt(
        self,
        why: str,
        *,
        over: bool,
        left: bool = True,
        refusal: Refused | None = None,
    ) -> None:
        """It may have left and may have landed: ask the provider, guess nothing.

        `over`: the call is over, so this sender sends nothing more; a call that hangs
        may still send, until its process is gone (rule 1). `left`: False when this
        send at least did nothing; so did one with a `refusal`, though it has landed.
        """

        def work(tx: Transaction) -> None:
            task = tasks.lock_family(tx, self.task.id)
            if not left:
                sends.never_left(tx, self.nonce)
            elif over:
                self._over(tx, refusal=refusal)
            # Sent again and again in vain: each time a little later.
            pause = timedelta(0)
            if self.in_doubt_before:
                pause = self.command.retry.pause(tries_of(task))
            raise_doubt(tx, self.task, self.effect_id, self.nonce, why, pause)

        self._write(work, f"A late call ended: {why}", refusal=refusal)

    def _write(
        self,
        work: Callable[[Transaction], None],
        late: str,
        handle: str | None = None,
        refusal: Refused | None = None,
    ) -> bool:
        """Write, or keep as evidence when others went on; True when it was in time."""
        try:
            self._patiently(lambda: self.engine.write(work))
        except Stale:
            self._patiently(
                lambda: self.engine.write(
                    lambda tx: self._late(tx, late, handle, refusal)
                )
            )
            return False
        return True

    def _late(
        self,
        tx: Transaction,
        text: str,
        handle: str | None,
        refusal: Refused | None,
    ) -> None:
        self._witness(tx, "late", text, external_id=handle)
        journal.log(tx, self.task.id, text, "warning")
        self._over(tx, handle, refusal)
        placeholders.look_again(tx, self.effect_id, named=handle is not None)

    def _over(
        self, tx: Transaction, handle: str | None = None, refusal: Refused | None = None
    ) -> None:
        """The call has come back, with what it said: a handle, a no, or neither."""
        if refusal is not None:
            sends.refused(tx, self.nonce, refusal.code, told(refusal))
        else:
            sends.over(tx, self.nonce, answered=handle is not None)

    def _witness(
        self, tx: Transaction, kind: str, text: str, external_id: str | None = None
    ) -> None:
        placeholders.witness(
            tx, self.effect_id, kind, text, nonce=self.nonce, external_id=external_id
        )

    @staticmethod
    def _patiently(write: Callable[[], None]) -> None:
        end_ = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                write()
            except (Unavailable, CommitUnknown):
                if time.monotonic() > end_:
                    raise
                time.sleep(1.0)
            else:
                return
