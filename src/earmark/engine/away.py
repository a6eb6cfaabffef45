"""Away: which errors say that nobody was reached. Such silence is not an answer."""

import errno
import socket
from collections.abc import Iterator

from earmark.domain.errors import NotSent

_NO_WAY = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)


def unreachable(error: Exception) -> bool:
    """True when a call failed since its provider could not be reached, so that nobody
    can do more than wait. A library's error is judged by the one that it came from.

    Not every `OSError` is one: a missing file is, and an HTTP library's refusal, and
    these would be waited for in vain.
    """
    return any(_says_so(each) for each in _with_causes(error))


def _says_so(error: BaseException) -> bool:
    if isinstance(error, (NotSent, ConnectionError, TimeoutError, socket.gaierror)):
        return True
    return isinstance(error, OSError) and error.errno in _NO_WAY


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
