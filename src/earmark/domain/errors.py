"""Every error that Earmark raises on purpose.

EarmarkError                 one line for a person; `hint` says what to do
├── BadInput                 the caller asked for something that cannot be
│   ├── UnknownName          no such command, provider, VM, zone, task …
│   ├── NameTaken            a name that must be unique is in use
│   └── KeyReused            an idempotency key came back with another body
├── Rejected                 a command's `check` refused, with a reason
│   └── Locked               another task holds the object
├── Unavailable              database or server cannot be used now
│   ├── StoreAway            the database does not answer; it may in a moment
│   └── SchemaMismatch       the database is older or newer than the code
├── CommitUnknown            the commit's acknowledgement was lost: read before acting
├── Stale                    a fence refused the write: somebody else went on
├── RegistrationRefused      a command or connector that cannot be safe
└── ProviderError            something a provider's client met
    ├── NotSent              no byte of the request left (DNS, refused connect, …)
    ├── Refused              the provider said a definite no
    │   └── Throttled        a definite "not now": it did nothing, ask later
    ├── JobUnknown           the provider does not know this job (not a failure)
    └── Unsupported          this kind of provider has no such capability
"""

from typing import Any


class EarmarkError(Exception):
    """The root. `str(error)` is one clear line; `hint` tells what to do about it."""

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code or type(self).code

    code = "error"


class BadInput(EarmarkError):
    """The caller's words cannot be carried out; nothing was done."""

    code = "bad-input"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "",
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.fields = fields or {}


class UnknownName(BadInput):
    """Nothing of that name or id exists."""

    code = "unknown"


class NameTaken(BadInput):
    """The name is in use already."""

    code = "name-taken"


class KeyReused(BadInput):
    """The idempotency key was used before, for a different request."""

    code = "key-reused"


class Rejected(EarmarkError):
    """A command's own `check` said no; nothing was sent."""

    code = "rejected"


class Locked(Rejected):
    """An object is held by another task, which the message names."""

    code = "locked"


class Unavailable(EarmarkError):
    """The database or the server cannot be used right now."""

    code = "unavailable"


class StoreAway(Unavailable):
    """The database does not answer, or only that others keep it busy.

    It may be over in a moment, and no task is to blame for it.
    """


class SchemaMismatch(Unavailable):
    """The database's schema is missing, older or newer than this code."""

    code = "schema-mismatch"


class CommitUnknown(EarmarkError):
    """The commit was sent, its answer was lost: it may or may not have happened.

    `result` is what the transaction would have returned.
    """

    code = "commit-unknown"
    result: Any = None


class Stale(EarmarkError):
    """The row moved on since it was read; whoever moved it is in charge now."""

    code = "stale"


class RegistrationRefused(EarmarkError):
    """A command or connector whose declaration cannot be made safe."""

    code = "registration-refused"


class ProviderError(EarmarkError):
    """Something that happened while talking to a provider."""

    code = "provider-error"


class NotSent(ProviderError):
    """No byte of the request left this machine. Raised by transports, never inferred.

    Only on this, and on `Throttled`, is a request made again without a look.
    """

    code = "not-sent"


class Refused(ProviderError):
    """The provider definitely said no, and will not carry the request out later."""

    code = "refused"


class Throttled(Refused):
    """The provider declares that it did nothing because it is busy; ask later."""

    code = "throttled"


class JobUnknown(ProviderError):
    """The provider does not know the job. That is not a failure of the job."""

    code = "job-unknown"


class Unsupported(ProviderError):
    """This kind of provider lacks the capability."""

    code = "unsupported"
