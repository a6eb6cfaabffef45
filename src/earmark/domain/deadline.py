"""A deadline that a call carries with it, down to the last line before the bytes."""

import time

from earmark.domain.errors import NotSent


class Deadline:
    """Seconds left on this machine's monotonic clock.

    A process can be stopped for a minute between any two lines. So whoever sends asks
    `check_before_sending` right before the first byte: a sender that woke up late must
    not send, since others may have gone on without it (rule 1).
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never below 0.001 so that it can serve as a timeout."""
        return max(self._end - time.monotonic(), 0.001)

    def passed(self) -> bool:
        """True once no time is left."""
        return time.monotonic() >= self._end

    def check_before_sending(self) -> None:
        """Raise `NotSent` when the time is over: nothing has left, nothing will."""
        if self.passed():
            raise NotSent("The deadline passed before the request was sent.")
