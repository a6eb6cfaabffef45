"""Commands that only tests use; workers load them by EARMARK_COMMANDS."""

import threading
from datetime import timedelta

from earmark.commands import CreateImageTemplate, ShutdownGuest
from earmark.domain.authoring import Ctx
from earmark.domain.command import Action


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
