"""What a failed try says about the settings, in one line for a person."""

from earmark.domain.capabilities import Verification, VerifyCode
from earmark.domain.errors import NotSent, ProviderError
from earmark.providers.reach import Unreached


def verification_of(error: Exception, where: str) -> Verification | None:
    """Explain what went wrong between us and `where`; None when that is no answer."""
    if isinstance(error, Unreached):
        detail = f"{error} {error.hint}".strip()
        return Verification(code=error.reason, detail=detail)
    if isinstance(error, NotSent | TimeoutError):
        return Verification(
            code=VerifyCode.TIMEOUT,
            detail=f"{where} accepted the connection but did not answer in time. "
            "Check that the service is well, and the port.",
        )
    if isinstance(error, ConnectionError):
        return Verification(
            code=VerifyCode.REFUSED,
            detail=f"What listens at {where} does not answer in HTTP. "
            "Check the port, and whether it wants https:// or http://.",
        )
    if isinstance(error, ProviderError):
        return Verification(code=VerifyCode.REFUSED, detail=str(error))
    return None
