"""End: how a task ends, before it is written down."""

from dataclasses import dataclass, field, replace
from typing import Any

from earmark.domain.states import Outcome

#: Who asks a task to stop when its deadline for the whole run has passed; and the code
#: of the error that it ends with.
DEADLINE = "deadline"
_LEVELS = {Outcome.OK: "info", Outcome.WARNED: "warning"}


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

    def out_of_time(self, *, sent: bool) -> "End":
        """This end of a task that its own deadline stopped: it has expired, or has
        failed if anything of it was ever sent, since a deadline invents no outcome
        (invariant 7)."""
        if self.outcome is not Outcome.CANCELLED:
            return self
        # A plan says what its part has said. What is left behind is in the message
        # alone: it is said anew at the end of the whole.
        error = self.error or {"message": self.message}
        known = error.get("code") == DEADLINE
        before = "" if known else "Its time was over. "
        return replace(
            self,
            outcome=Outcome.FAILED if sent else Outcome.EXPIRED,
            message=f"{before}{self.message}".strip(),
            error=error
            | {"code": DEADLINE, "message": f"{before}{error['message']}".strip()},
        )

    def level(self, by: str | None) -> str:
        """Of its line in the log: an end that somebody (`by`) asked for is no error."""
        if self.outcome is Outcome.CANCELLED and by is not None:
            return "info"
        return _LEVELS.get(self.outcome, "error")
