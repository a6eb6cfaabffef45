"""The `ctx` that a command's methods get: the world, for one attempt of one task."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from earmark.domain.authoring import Attendant, Tx
from earmark.domain.connector import ProviderConfig, Session, settings_of
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput
from earmark.domain.inventory import Vm
from earmark.domain.mark import Mark
from earmark.domain.secret import Secret
from earmark.domain.task import Placeholder, Task
from earmark.engine.authored import clean
from earmark.engine.enqueue import open_tx
from earmark.engine.results import TaskResults, of_predecessors
from earmark.engine.runtime import Engine
from earmark.store import inventory, journal, tasks
from earmark.store.database import Transaction

C = TypeVar("C")
T = TypeVar("T")
_PROGRESS_SECONDS = 1.0


class EngineCtx:
    """See `domain.authoring.Ctx`."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        deadline: Deadline,
        placeholder: Placeholder | None = None,
    ) -> None:
        self.engine = engine
        self.task = task
        self.deadline = deadline
        self._placeholder = placeholder
        self._shown_at = 0.0
        self._opened: list[Session] = []

    def close(self) -> None:
        """The attempt has ended: let go of what `connect_with` has opened."""
        while self._opened:
            self._opened.pop().close()

    @property
    def placeholder(self) -> Placeholder:
        """The promised effect; raises `ValueError` in an Action."""
        if self._placeholder is None:
            raise ValueError(f"{self.task.command} promises no effect: it has no token")
        return self._placeholder

    @property
    def token(self) -> str:
        """The placeholder's id."""
        return self.placeholder.id

    @property
    def mark(self) -> str:
        """Installation id and token."""
        return str(Mark(self.engine.installation, self.token))

    @property
    def request(self) -> Any:
        """The stored request."""
        return self.placeholder.request

    @property
    def sent_at(self) -> datetime | None:
        """When the request could first have left."""
        return self.placeholder.first_sent_at

    @property
    def results(self) -> TaskResults:
        """Results of what this child came after."""
        return of_predecessors(self.engine, self.task)

    @property
    def cancelled(self) -> bool:
        """True when asked to stop, or out of time."""
        if self.deadline.passed():
            return True
        task = self.engine.read(lambda tx: tasks.get(tx, self.task.id))
        return task.stop_requested or task.attempt != self.task.attempt

    def connect(self, capability: type[C]) -> C:
        """The provider's typed client."""
        if self.task.provider_id is None:
            raise BadInput(f"{self.task.command} names no provider to connect to.")
        session = self.engine.session(self.task.provider_id)
        return session.capability(capability, self.deadline)

    def connect_with(
        self,
        kind: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Secret],
        capability: type[C],
    ) -> C:
        """A client for an endpoint that is no provider of ours (yet)."""
        connector = self.engine.connector(kind)
        clear = {name: self.reveal(secret) for name, secret in secrets.items()}
        config = ProviderConfig(
            settings_of(connector, settings), clear, self.engine.installation
        )
        session = connector.open(config)
        self._opened.append(session)
        return session.capability(capability, self.deadline)

    def now(self) -> datetime:
        """The store's time now."""
        return self.engine.read(lambda tx: tx.now)

    def vm(self, ref: str) -> Vm:
        """A VM of the inventory, read now."""
        return self.engine.read(lambda tx: inventory.vm(tx, ref))

    def reveal(self, secret: Secret) -> str:
        """Open a sealed secret."""
        if secret.sealed_id is None:
            return secret.clear
        return self.engine.reveal(secret.sealed_id)

    def progress(self, percent: int, message: str = "") -> None:
        """Show progress; at most a write a second."""
        now = time.monotonic()
        if now - self._shown_at < _PROGRESS_SECONDS:
            return
        self._shown_at = now
        values = {"progress": max(0, min(100, percent)), "message": clean(message)}
        self.engine.write(lambda tx: tasks.change(tx, self.task, **values))

    def log(self, text: str, level: str = "info") -> None:
        """Append a line to the task's log."""
        self.engine.write(lambda tx: journal.log(tx, self.task.id, clean(text), level))

    def attend(self, attendant: Attendant) -> None:
        """Let it go on after this attempt."""
        self.engine.attendants.start(attendant, f"attends-{self.task.id}")

    def save(self, work: Callable[[Tx], T]) -> T:
        """A short transaction, only while this attempt is in charge."""

        def fenced(tx: Transaction) -> T:
            tasks.change(tx, self.task)
            return work(open_tx(self.engine, tx, self.task))

        return self.engine.write(fenced)
