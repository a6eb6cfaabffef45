"""Asking: the `ctx` with which a provider is asked about an effect. What may have been
sent before the store was put back has no request here (rule 15): it is worked out when
the author's code wants to know it, for that question alone."""

from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import EffectClass, Operation
from earmark.domain.deadline import Deadline
from earmark.domain.errors import EarmarkError
from earmark.domain.outcome import Done
from earmark.domain.task import Placeholder, Task
from earmark.engine.authored import in_ctx
from earmark.engine.ctx import EngineCtx
from earmark.engine.restored import unprepared
from earmark.engine.results import dumped
from earmark.engine.runtime import Engine


class NothingToDo(EarmarkError):
    """There is no request to ask with: `prepare` says `done`, the world is as asked."""

    def __init__(self, done: Done[Any]) -> None:
        super().__init__(
            "There is nothing to do any more, so that nobody knows what was asked for "
            "before the store was put back."
        )
        self.done = done


def reached(
    nothing: NothingToDo, effect: Placeholder, operation: Operation
) -> Done[Any] | NothingToDo:
    """Of a state, that it is reached is all that counts, whoever brought it about (rule
    12). Of what is made it says neither that it is ours, nor that ours is absent; and
    whoever is to take it back must know."""
    absolute = operation.effect is EffectClass.ABSOLUTE
    return nothing.done if absolute and not effect.undoable else nothing


def knows_request(task: Task, effect: Placeholder, command: ExternalJob[Any]) -> bool:
    """False when the stored request may be missing, and not just be None."""
    if effect.request is not None or not task.restored:
        return True
    return type(command).prepare is ExternalJob.prepare


class AskingCtx(EngineCtx):
    """See `domain.authoring.Ctx`; its `request` is never that of nothing prepared."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        deadline: Deadline,
        effect: Placeholder,
        command: ExternalJob[Any],
    ) -> None:
        super().__init__(engine, task, deadline, effect)
        self._command = command
        self._known = knows_request(task, effect, command)
        self._request = effect.request

    @property
    def request(self) -> Any:
        """The stored request, or what `prepare` makes of it now.

        Raises `NothingToDo` when that makes none, and whatever `prepare` raises.
        """
        if not self._known:
            self._request = self._worked_out()
            self._known = True
        return self._request

    def _worked_out(self) -> Any:
        effect = self.placeholder
        if not self.engine.read(lambda tx: unprepared(tx, self.task, effect)):
            return effect.request
        ctx = EngineCtx(self.engine, self.task, self.deadline, effect)
        try:
            prepared = in_ctx(lambda: self._command.prepare(ctx))
        finally:
            ctx.close()
        if isinstance(prepared, Done):
            raise NothingToDo(prepared)
        return dumped(prepared)
