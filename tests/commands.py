"""Commands that only tests use; workers load them by EARMARK_COMMANDS."""

from datetime import timedelta

from earmark.commands import ShutdownGuest
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
