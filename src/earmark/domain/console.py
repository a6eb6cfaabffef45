"""A console: one browser's view of a VM's screen, from its ticket to its end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConsoleState(StrEnum):
    """How far it has come."""

    #: A ticket was given out; nobody has been asked for anything.
    ASKED = "asked"
    #: The ticket was used; a worker opens the provider's console.
    CLAIMED = "claimed"
    #: Bytes go both ways.
    OPEN = "open"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Console:
    """What is known of a console; nothing of it is secret.

    `address` is where the web process that has its browser is reached by workers;
    empty until the ticket is used. `reason` says, for people, why it ended.
    """

    id: str
    vm_id: str
    state: ConsoleState
    address: str
    task_id: str | None
    claimed_at: datetime | None
    reason: str
