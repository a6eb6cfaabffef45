"""Away: which errors say that nobody was reached. Such silence is not an answer."""

import errno
import socket
import ssl

from earmark.domain.errors import EarmarkError, NotSent

_NO_WAY = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


def unreachable(error: BaseException | None) -> bool:
    """True when a call failed since its provider could not be reached, so that nobody
    can do more than wait. A library's error is judged by the one that it came from; one
    of ours means what it says, and `NotSent` what it was raised from, if anything.

    Not every `OSError` is one: a missing file is, and an HTTP library's refusal, or a
    certificate that nobody trusts, and these would be waited for in vain.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if _is_silence(error):
            return True
        if isinstance(error, EarmarkError):
            if not isinstance(error, NotSent):
                return False
            if error.__cause__ is None:
                return True
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
    return False


def _is_silence(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror, *_CUT_OFF)):
        return True
    return isinstance(error, OSError) and error.errno in _NO_WAY
