"""End: how a task ends, before it is written down."""

from dataclasses import dataclass, field
from typing import Any

from earmark.domain.states import Outcome

#: Who asks a task to stop when its deadline for the whole run has passed; and the code
#: of the error that it ends with.
DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class End:
    """How a task ends: outcome, a line for people, and a result or an error."""

    outcome: Outcome
    message: str = ""
    result: Any = None
    error: dict[str, Any] | None = field(default=None)

    @classmethod
    def failed(cls, message: str, code: str = "failed", **more: Any) -> "End":
        """A failure, with the code that programs look at."""
        error = {"code": code, "message": message} | more
        return cls(Outcome.FAILED, message, error=error)

    @classmethod
    def cancelled(cls, message: str) -> "End":
        """Stopped, because somebody asked or because nothing of it is wanted now."""
        return cls(Outcome.CANCELLED, message)
