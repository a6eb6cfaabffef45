"""The same command as a new release has it, with another parameter."""

from typing import ClassVar

from earmark.commands import CreateImageTemplate


class CopyDisk(CreateImageTemplate):
    """Copies a disk, and says why."""

    title = "Copy {alias} because {reason}"
    version: ClassVar[int] = 2
    reason: str
