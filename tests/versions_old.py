"""A command as an old release has it; workers load it by EARMARK_COMMANDS."""

from earmark.commands import CreateImageTemplate


class CopyDisk(CreateImageTemplate):
    """Copies a disk."""

    title = "Copy {alias}, as of old"
