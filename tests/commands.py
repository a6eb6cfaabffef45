"""Commands that only tests use; workers load them by EARMARK_COMMANDS."""

from datetime import timedelta

from earmark.commands import ShutdownGuest


class ImpatientShutdown(ShutdownGuest):
    """Asks the guest, and gives up after two seconds."""

    title = "Shut down {vm}, impatiently"
    patience = timedelta(seconds=2)
