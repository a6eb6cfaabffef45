"""A client of a fleet of load balancers.

The API is simple and honest: PUT says what is to be there, GET what is, DELETE takes it
away. `If-Match` with a certificate's fingerprint keeps DELETE from taking another one.
"""

import json
from typing import Any
from urllib.parse import quote

from earmark import Deadline, ProviderError, Refused
from earmark.providers.transport import Answer, Exchange, Request
from earmark_certificates.trace import TRACE

Json = dict[str, Any]
#: The API's documented "I did nothing, and will not".
_REFUSALS = frozenset(
    {
        (400, "bad-request"),
        (401, "unauthorised"),
        (404, "no-such-balancer"),
        (409, "refused"),
        (412, "other-certificate"),
    }
)


class Balancers:
    """The fleet, until a deadline."""

    def __init__(
        self, url: str, password: str, exchange: Exchange, deadline: Deadline
    ) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {password}"}
        self._exchange = exchange
        self._deadline = deadline

    def about(self) -> Json:
        """What this is; raises `Refused` for a wrong password."""
        found = self._call("GET", "about")
        return found or {}

    def site(self, balancer: str, host: str) -> Json | None:
        """Which certificate a balancer serves for a host, and whether it is loaded."""
        return self._call("GET", "balancers", balancer, "sites", host)

    def challenge(self, token: str) -> Json | None:
        """What the whole fleet answers to a challenge; None for nothing."""
        return self._call("GET", "challenges", token)

    def install(
        self, balancer: str, host: str, certificate: str, key: str, *, token: str
    ) -> None:
        """Serve this certificate for the host, from now on."""
        body = {"certificate": certificate, "key": key}
        self._call("PUT", "balancers", balancer, "sites", host, body=body, token=token)

    def take_off(
        self, balancer: str, host: str, fingerprint: str, *, token: str
    ) -> None:
        """Serve what was served before, if it is this certificate that is served."""
        match = {"If-Match": f'"{fingerprint}"'}
        where = "balancers", balancer, "sites", host
        self._call("DELETE", *where, headers=match, token=token)

    def publish(self, token: str, host: str, content: str, *, our_token: str) -> None:
        """Answer the challenge of that token, on every balancer."""
        body = {"host": host, "content": content}
        self._call("PUT", "challenges", token, body=body, token=our_token)

    def withdraw(self, token: str, *, our_token: str) -> None:
        """Answer it no more."""
        self._call("DELETE", "challenges", token, token=our_token)

    def _call(
        self,
        method: str,
        *path: str,
        body: Json | None = None,
        headers: Json | None = None,
        token: str = "",
    ) -> Json | None:
        sent = {**self._headers, **(headers or {})}
        if token:
            sent[TRACE] = token
        where = "/".join(quote(part, safe="") for part in path)
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, f"{self.url}/{where}", sent, content)
        answer = self._exchange(request, self._deadline)
        if answer.status in (200, 204):
            return _content(answer)
        said = _content(answer) or {}
        code, message = str(said.get("code", "")), str(said.get("message", ""))
        # A proxy's 404 is not the fleet's: only its own words count.
        if (answer.status, code) == (404, "nothing-there"):
            return None
        if (answer.status, code) in _REFUSALS:
            raise Refused(f"The balancers refused: {message}.", code=code)
        raise ProviderError(f"The balancers answered /{where} with {answer.status}.")


def _content(answer: Answer) -> Json | None:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
