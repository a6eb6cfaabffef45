"""Whether the key opens EC2, and if not, why."""

from typing import Any

from earmark.domain.capabilities import Credentials, Verification, VerifyCode
from earmark.providers.ec2.calls import Calls, NotEc2
from earmark.providers.verifying import verification_of

_POWERLESS = (
    "The key is good but may not list instances: allow it ec2:DescribeInstances."
)
_CLOCK = "The request's time is not EC2's. Set this machine's clock (NTP)."

#: What EC2's errors about who we are mean to the person who typed the key.
_AUTH = {
    "AccessDenied": _POWERLESS,
    "AuthFailure": "EC2 does not accept this access key and secret.",
    "Blocked": "AWS has blocked this account. Contact AWS support.",
    "IncompleteSignature": "EC2 does not accept this access key and secret.",
    "InvalidClientTokenId": "EC2 does not know this access key id.",
    "MissingAuthenticationToken": "EC2 did not get the access key.",
    "OptInRequired": "The account is not signed up for EC2 in this region.",
    "PendingVerification": "AWS is still verifying the account for this region.",
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "SignatureDoesNotMatch": "The secret does not fit the access key id.",
    "UnauthorizedOperation": _POWERLESS,
}


class Ec2Credentials(Credentials):
    """Tries the key, with the permission that Earmark cannot do without."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def verify(self) -> Verification:
        """List a few instances; never raises for what it is meant to find.

        No other call: one like sts:GetCallerIdentity works for keys that may do
        nothing in EC2, and ec2:DescribeRegions is a permission of its own.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        where = self._calls.endpoint
        try:
            self._calls.read("describe_instances", "Reservations", MaxResults=5)
        except ClientError as error:
            return _said_no(where, error.response)
        except (BotoCoreError, ResponseParserError, NotEc2):
            return Verification(
                code=VerifyCode.REFUSED,
                detail=f"{where} does not answer as EC2 does. Check the region and "
                "endpoint.",
            )
        except Exception as error:
            found = verification_of(error, where)
            if found is None:
                raise
            return found
        return Verification(code=VerifyCode.OK, detail=f"Connected to {where}.")


def _said_no(where: str, response: Any) -> Verification:
    code = str(response["Error"].get("Code", ""))
    if code in _AUTH:
        return Verification(code=VerifyCode.AUTH, detail=f"{_AUTH[code]} ({code})")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "an error")
    return Verification(
        code=VerifyCode.REFUSED,
        detail=f"{where} answered {status} ({code}). Check the region and endpoint.",
    )
