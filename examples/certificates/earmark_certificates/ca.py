"""A client of a certificate authority that speaks ACME (RFC 8555).

One changing call is one signed POST. What has to be read for it (the directory, our
account, a nonce) is read before: if that fails, nothing was sent.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from earmark import Deadline, NotSent, ProviderError, Refused, Throttled
from earmark.providers.transport import Answer, Exchange, Request
from earmark_certificates.jws import b64, jwk, sign, thumbprint
from earmark_certificates.trace import TRACE

T = TypeVar("T")
Json = dict[str, Any]

_ERROR = "urn:ietf:params:acme:error:"
#: "Not now": the nonce was used (§6.5), or too many came (§6.6). Nothing was done.
_LATER = frozenset({"badNonce", "rateLimited"})
#: What §6.7 lists, all but `serverInternal`: the request was not carried out.
_REFUSALS = frozenset(
    [
        "accountDoesNotExist",
        "alreadyRevoked",
        "badCSR",
        "badPublicKey",
        "badRevocationReason",
        "badSignatureAlgorithm",
        "caa",
        "compound",
        "connection",
        "dns",
        "externalAccountRequired",
        "incorrectResponse",
        "invalidContact",
        "malformed",
        "orderNotReady",
        "rejectedIdentifier",
        "tls",
        "unauthorized",
        "unsupportedContact",
        "unsupportedIdentifier",
        "userActionRequired",
    ]
)


class Acme:
    """The CA for one account, until a deadline."""

    def __init__(
        self,
        directory: str,
        key: ec.EllipticCurvePrivateKey,
        exchange: Exchange,
        deadline: Deadline,
    ) -> None:
        self.directory_url = directory
        self._key = key
        self._exchange = exchange
        self._deadline = deadline
        self._directory: Json = {}
        self._account: str | None = None

    # What only reads.

    def directory(self) -> Json:
        """Where everything is (§7.1.1)."""
        if not self._directory:
            answer = self._exchange(Request("GET", self.directory_url), self._deadline)
            found = _content(answer)
            if answer.status != 200 or "newOrder" not in found:
                raise ProviderError(f"{self.directory_url} is no ACME directory.")
            self._directory = found
        return self._directory

    def account(self) -> str | None:
        """Our account's URL, or None while there is none (§7.3.1)."""
        if self._account is None:
            url = self.directory()["newAccount"]
            try:
                answer = self._post(url, {"onlyReturnExisting": True}, by_key=True)
            except Refused as no:
                if no.code == "accountDoesNotExist":
                    return None
                raise
            self._account = answer.headers["location"]
        return self._account

    def order(self, url: str) -> Json:
        """An order (§7.1.3)."""
        return _content(self._post(url, None))

    def authorization(self, url: str) -> Json:
        """An authorization, with its challenges (§7.1.4)."""
        return _content(self._post(url, None))

    def orders(self) -> Iterator[tuple[str, Json]]:
        """Every order of our account that the CA lists (§7.1.2.1)."""
        account = self.account()
        if account is None:
            return
        page: str | None = _content(self._post(account, None))["orders"]
        while page is not None:
            answer = self._post(page, None)
            yield from ((url, self.order(url)) for url in _content(answer)["orders"])
            page = _next(answer)

    def certificate(self, url: str) -> str:
        """The certificate and its chain in PEM (§7.4.2)."""
        return self._post(url, None).body.decode()

    def key_authorization(self, token: str) -> str:
        """What has to be published for a challenge's token (§8.1)."""
        return f"{token}.{thumbprint(self._key.public_key())}"

    # What changes something: one POST each.

    def register(self, token: str) -> str:
        """Make the account of our key, or find it (§7.3); returns its URL."""
        url = self._first(lambda: str(self.directory()["newAccount"]))
        agreed = {"termsOfServiceAgreed": True}
        return self._change(url, agreed, token, by_key=True).headers["location"]

    def new_order(self, host: str, token: str) -> str:
        """Order a certificate for a name (§7.4); returns the order's URL."""
        url = self._first(lambda: str(self.directory()["newOrder"]))
        wanted = {"identifiers": [{"type": "dns", "value": host}]}
        return self._change(url, wanted, token).headers["location"]

    def respond(self, challenge: str, token: str) -> None:
        """Say that a challenge can be validated (§7.5.1)."""
        self._change(challenge, {}, token)

    def finalize(self, url: str, csr: bytes, token: str) -> None:
        """Ask for the certificate of an order that is ready (§7.4)."""
        self._change(url, {"csr": b64(csr)}, token)

    def deactivate(self, authorization: str, token: str) -> None:
        """Give an authorization up (§7.5.2); an order that needs it is over."""
        self._change(authorization, {"status": "deactivated"}, token)

    def revoke(self, certificate: bytes, token: str) -> None:
        """Revoke a certificate, given in DER (§7.6); also one that is revoked."""
        url = self._first(lambda: str(self.directory()["revokeCert"]))
        try:
            self._change(url, {"certificate": b64(certificate)}, token)
        except Refused as no:
            if no.code != "alreadyRevoked":
                raise

    # The wire.

    def _change(
        self, url: str, payload: Json, token: str, *, by_key: bool = False
    ) -> Answer:
        header = self._first(lambda: self._header(url, by_key=by_key))
        return self._send(url, header, payload, token)

    def _post(self, url: str, payload: Json | None, *, by_key: bool = False) -> Answer:
        return self._send(url, self._header(url, by_key=by_key), payload, "")

    def _first(self, read: Callable[[], T]) -> T:
        """Read what a changing request needs: if that fails, none has left."""
        try:
            return read()
        except (NotSent, Refused):
            raise
        except Exception as error:
            raise NotSent(f"The CA could not be asked before: {error}") from error

    def _header(self, url: str, *, by_key: bool) -> Json:
        asked = Request("HEAD", self.directory()["newNonce"])
        nonce = self._exchange(asked, self._deadline).headers.get("replay-nonce")
        if nonce is None:
            raise ProviderError("The CA gave no nonce.")
        who: Json = {"jwk": jwk(self._key.public_key())}
        if not by_key:
            account = self.account()
            if account is None:
                raise ProviderError("The CA has no account of this key.")
            who = {"kid": account}
        return {"nonce": nonce, "url": url, **who}

    def _send(self, url: str, header: Json, payload: Json | None, token: str) -> Answer:
        headers = {"Content-Type": "application/jose+json"}
        if token:
            headers[TRACE] = token
        request = Request("POST", url, headers, sign(self._key, header, payload))
        answer = self._exchange(request, self._deadline)
        if answer.status in (200, 201):
            return answer
        said = _content(answer)
        code = str(said.get("type", "")).removeprefix(_ERROR)
        detail = str(said.get("detail", "")).rstrip(".")
        if 400 <= answer.status < 500 and code in _LATER:
            raise Throttled(f"The CA says not now: {detail}.", code=code)
        if 400 <= answer.status < 500 and code in _REFUSALS:
            raise Refused(f"The CA refused: {detail}.", code=code)
        raise ProviderError(f"The CA answered {url} with {answer.status}: {detail}.")


def _content(answer: Answer) -> Json:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _next(answer: Answer) -> str | None:
    """The next page of a list, by the header Link (§7.1.2.1)."""
    for link in answer.headers.get("link", "").split(","):
        target, _, relation = link.partition(";")
        if 'rel="next"' in relation:
            return target.strip().strip("<>")
    return None
