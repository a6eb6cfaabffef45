"""Commands that only tests use; workers load them by EARMARK_COMMANDS."""

import threading
from collections.abc import Sequence
from datetime import timedelta

from earmark.commands import CreateImageTemplate, ShutdownGuest
from earmark.domain.authoring import Ctx
from earmark.domain.command import Action, WhenLocked
from earmark.domain.lock import Lock, exclusive


class ImpatientShutdown(ShutdownGuest):
    """Asks the guest, and gives up after two seconds."""

    title = "Shut down {vm}, impatiently"
    patience = timedelta(seconds=2)


class Noop(Action[str]):
    """Does nothing, to measure what surrounds it."""

    title = "Nothing"

    def run(self, ctx: Ctx) -> str:
        return "done"


class HangsOnce(CreateImageTemplate):
    """Its first send hangs inside the author's own code, for good."""

    title = "Copy {alias}, hanging"

    def send(self, ctx: Ctx) -> str:
        if ctx.task.attempt == 1:
            threading.Event().wait()
        return super().send(ctx)


class Contend(Action[str]):
    """Wants one thing for itself, and waits in line for it."""

    title = "Contend for {thing}"
    when_locked = WhenLocked.QUEUE
    thing: str

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.thing)]

    def run(self, ctx: Ctx) -> str:
        return self.thing
