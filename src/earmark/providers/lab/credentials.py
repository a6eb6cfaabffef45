"""Whether settings and password open the lab, and if not, why."""

from earmark.domain.capabilities import Credentials, Verification, VerifyCode
from earmark.domain.errors import Refused
from earmark.providers.lab.calls import Calls, Unexpected, path
from earmark.providers.transport import Answer
from earmark.providers.verifying import verification_of


class LabCredentials(Credentials):
    """Tries the settings and the password."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def verify(self) -> Verification:
        """Ask the lab what it is; never raises for what it is meant to find."""
        try:
            about = self._calls.read(path("about"))
        except Refused as refusal:
            if refusal.code == "unauthorised":
                return Verification(
                    code=VerifyCode.AUTH,
                    detail="The lab does not accept this user name and password.",
                )
            return Verification(code=VerifyCode.REFUSED, detail=str(refusal))
        except Unexpected as surprise:
            return _not_a_lab(self._calls.url, surprise.answer)
        except Exception as error:
            found = verification_of(error, self._calls.url)
            if found is None:
                raise
            return found
        if "lab" not in str(about.get("product", "")):
            detail = f"{self._calls.url} is {about.get('product', 'something else')}, "
            return Verification(
                code=VerifyCode.REFUSED, detail=detail + "not an Earmark lab."
            )
        site = f"{about['product']}, site {about.get('site', '?')}"
        return Verification(code=VerifyCode.OK, detail=f"Connected to {site}.")


def _not_a_lab(url: str, answer: Answer) -> Verification:
    """Say what answered in the lab's place."""
    if answer.status in (401, 403):
        return Verification(
            code=VerifyCode.AUTH,
            detail=f"{url} answered {answer.status}: user name or password is wrong, "
            "or this is not the lab but a gate in front of it.",
        )
    server = answer.headers.get("server", "a web server")
    kind = answer.headers.get("content-type", "no content type")
    return Verification(
        code=VerifyCode.REFUSED,
        detail=f"{url} answered {answer.status} ({server}, {kind}), which no Earmark "
        "lab does. Check the URL.",
    )
