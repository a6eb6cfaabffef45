"""What an error means to whoever asked: a status, a few words, and what to do."""

from http import HTTPStatus

from earmark.domain.errors import (
    BadInput,
    CommitUnknown,
    EarmarkError,
    KeyReused,
    NameTaken,
    Rejected,
    Stale,
    Unavailable,
    UnknownName,
)

#: The first kind that an error is of decides.
_STATUSES: tuple[tuple[type[EarmarkError], int], ...] = (
    (KeyReused, 422),
    (NameTaken, 409),
    (UnknownName, 404),
    (BadInput, 400),
    (Rejected, 409),
    (Stale, 409),
    (CommitUnknown, 503),
    (Unavailable, 503),
)
_TITLES = {
    400: "That cannot be done like this",
    403: "Not from there",
    404: "There is no such thing",
    405: "Not in this way",
    409: "Not now",
    413: "Too much at once",
    421: "Not under this name",
    422: "Not like this",
    500: "Something went wrong here",
    503: "Earmark cannot answer now",
}
_ADVICE = {
    404: "It may have been removed, or the address is mistyped.",
    405: "Go back, and use the page's own buttons.",
    409: "Nothing was asked of any provider. Look at what stands in the way, "
    "then try again.",
    500: "Nothing was asked of any provider by this request unless its task is listed. "
    "The server's log says more.",
    503: "Nothing is lost: what was asked for before is kept. Try again in a moment.",
}


def status_of(error: EarmarkError) -> int:
    """Choose the HTTP status that says the same."""
    if error.code == "unsupported":
        return 409
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def title_of(status: int) -> str:
    """Say in a few words what the status means here."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def advice_of(status: int) -> str:
    """Say what to do when the error itself does not."""
    return _ADVICE.get(status, "Nothing was changed.")
