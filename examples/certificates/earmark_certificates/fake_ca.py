"""A simulated CA: ACME's rules (RFC 8555) and real signatures, trusted by nobody."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from earmark import Connector
from earmark.testing import Asked, Effect, HttpFake, Problem, Reply
from earmark_certificates import jws
from earmark_certificates.ca import Json
from earmark_certificates.connector import AcmeConnector
from earmark_certificates.trace import TRACE

_ERROR = "urn:ietf:params:acme:error:"
#: Whom the CA asks: a host and a token; the answer is what it finds there.
Look = Callable[[str, str], str | None]


class FakeCa(HttpFake):
    """The CA. `look` is its way to a host's port 80; signing takes some seconds."""

    header = TRACE
    refusal = Problem(403, "unauthorized", "a fault was asked for (simulated)")
    settings: Mapping[str, Any] = {"directory": "http://ca.test/directory"}

    def __init__(
        self, look: Look, file: str | Path = ":memory:", *, signing: float = 0.0
    ) -> None:
        super().__init__(file)
        self._look = look
        self._signing = signing
        self.secrets: Mapping[str, str] = {
            "account_key": jws.key_as_line(jws.new_key())
        }

    @property
    def connector(self) -> Connector:
        """The connector, with this CA in place of the network."""
        return AcmeConnector(self.exchange)

    def stranger(self, like: Effect) -> None:
        """Somebody else with our account orders a certificate for the same host."""
        with self.turn:
            order = self.get("order", like.id.rsplit("/", 1)[-1])
            if order is not None:
                self._add_order(order["base"], order["account"], order["host"])

    def said_no(self, problem: Problem) -> Reply:
        """A problem document (§6.7)."""
        body = {"type": _ERROR + problem.code, "detail": str(problem)}
        return Reply(body, problem.status)

    def handle(self, asked: Asked) -> Reply:
        """Route a request (§7.1)."""
        where = asked.path[0]
        if where == "directory":
            names = {"newNonce": "new-nonce", "newAccount": "new-account"}
            names |= {"newOrder": "new-order", "revokeCert": "revoke-cert"}
            return Reply({name: f"{asked.base}/{it}" for name, it in names.items()})
        if where == "new-nonce":
            nonce = uuid4().hex
            self.put("nonce", nonce, {})
            return Reply("", headers={"Replay-Nonce": nonce})
        payload, account = self._authentic(asked)
        handlers: Mapping[str, Callable[[Asked, Any, str], Reply]] = {
            "new-account": self._new_account,
            "account": lambda a, p, who: Reply({"orders": f"{a.base}/orders/{who}"}),
            "orders": self._orders,
            "new-order": self._new_order,
            "order": lambda a, p, who: Reply(self._shown(self._order(a.path[1]))),
            "authz": self._authorization,
            "challenge": self._challenge,
            "finalize": self._finalize,
            "certificate": self._certificate,
            "revoke-cert": self._revoke,
        }
        if where not in handlers:
            raise Problem(404, "malformed", "there is no such thing")
        return handlers[where](asked, payload, account)

    def _authentic(self, asked: Asked) -> tuple[Any, str]:
        """Check the signature, the nonce and the URL (§6.2 to §6.5); who it is."""
        try:
            header, payload, parts = jws.opened(asked.body)
            name = str(header.get("kid", "")).rsplit("/", 1)[-1]
            known = self.get("account", name)
            if "kid" in header and known is None:
                raise Problem(400, "accountDoesNotExist", "no such account")
            key = jws.public_key(known["jwk"] if known else header["jwk"])
        except (ValueError, KeyError) as error:
            raise Problem(400, "malformed", f"no signed request: {error}") from error
        if not jws.is_signed(parts, key) or header["url"] != asked.url:
            raise Problem(403, "unauthorized", "the signature does not fit")
        if self.get("nonce", header["nonce"]) is None:
            raise Problem(400, "badNonce", "the nonce was used, or is not ours")
        self.drop("nonce", header["nonce"])
        return payload, name or json.dumps(header["jwk"])

    def _new_account(self, asked: Asked, payload: Any, key: str) -> Reply:
        owner = json.loads(key)
        name = jws.thumbprint(jws.public_key(owner))
        there = self.get("account", name)
        location = {"Location": f"{asked.base}/account/{name}"}
        if there is None:
            if payload.get("onlyReturnExisting"):
                raise Problem(400, "accountDoesNotExist", "no account of this key")
            self.put("account", name, {"jwk": owner})
        return Reply({}, 200 if there else 201, location)

    def _orders(self, asked: Asked, payload: Any, account: str) -> Reply:
        mine = (id_ for id_, it in self.all("order") if it["account"] == account)
        return Reply({"orders": [f"{asked.base}/order/{id_}" for id_ in mine]})

    def _new_order(self, asked: Asked, payload: Any, account: str) -> Reply:
        (wanted,) = payload["identifiers"]
        id_ = self._add_order(asked.base, account, wanted["value"])
        url = f"{asked.base}/order/{id_}"
        self.made(asked.token, url)
        return Reply(self._shown(self._order(id_)), 201, {"Location": url})

    def _add_order(self, base: str, account: str, host: str) -> str:
        id_ = uuid4().hex
        order = {"base": base, "account": account, "host": host, "id": id_}
        challenge = {"status": "pending", "token": uuid4().hex}
        self.put("order", id_, {**order, "authz": "pending", "challenge": challenge})
        return id_

    def _order(self, id_: str) -> Json:
        order = self.get("order", id_)
        if order is None:
            raise Problem(404, "malformed", "there is no such order")
        return order

    def _status(self, order: Json) -> str:
        """§7.1.6."""
        if order.get("signed_at"):
            return "valid" if order["signed_at"] <= time.time() else "processing"
        over = {"pending": "pending", "valid": "ready"}
        return over.get(order["authz"], "invalid")

    def _shown(self, order: Json) -> Json:
        base, id_, status = order["base"], order["id"], self._status(order)
        shown = {
            "status": status,
            "identifiers": [{"type": "dns", "value": order["host"]}],
            "authorizations": [f"{base}/authz/{id_}"],
            "finalize": f"{base}/finalize/{id_}",
        }
        if status == "valid":
            shown["certificate"] = f"{base}/certificate/{id_}"
        return shown

    def _authorization(self, asked: Asked, payload: Any, account: str) -> Reply:
        id_ = asked.path[1]
        order = self._order(id_)
        if payload and payload.get("status") == "deactivated":
            order["authz"] = "deactivated"
            self.put("order", id_, order)
            self.gone(f"{order['base']}/order/{id_}")
        challenge = {"type": "http-01", "url": f"{order['base']}/challenge/{id_}"}
        return Reply(
            {"status": order["authz"], "challenges": [challenge | order["challenge"]]}
        )

    def _challenge(self, asked: Asked, payload: Any, account: str) -> Reply:
        id_ = asked.path[1]
        order = self._order(id_)
        challenge = order["challenge"]
        if order["authz"] == "pending":
            owner = jws.public_key((self.get("account", account) or {})["jwk"])
            wanted = f"{challenge['token']}.{jws.thumbprint(owner)}"
            found = self._look(order["host"], challenge["token"])
            order["authz"] = challenge["status"] = (
                "valid" if found == wanted else "invalid"
            )
            if found != wanted:
                challenge["error"] = {"detail": f"{order['host']} answered {found!r}"}
            self.put("order", id_, order)
        return Reply(challenge)

    def _finalize(self, asked: Asked, payload: Any, account: str) -> Reply:
        id_ = asked.path[1]
        order = self._order(id_)
        if self._status(order) != "ready":
            raise Problem(403, "orderNotReady", f"it is {self._status(order)}")
        try:
            csr = x509.load_der_x509_csr(jws.unb64(payload["csr"]))
        except ValueError as error:
            raise Problem(400, "badCSR", str(error)) from error
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        if names.value.get_values_for_type(x509.DNSName) != [order["host"]]:
            raise Problem(400, "badCSR", "it names another host")
        order |= {"signed_at": time.time() + self._signing, "chain": self._sign(csr)}
        self.put("order", id_, order)
        self.made(asked.token, f"{asked.base}/certificate/{id_}")
        return Reply(self._shown(order))

    def _certificate(self, asked: Asked, payload: Any, account: str) -> Reply:
        return Reply(str(self._order(asked.path[1])["chain"]).encode())

    def _revoke(self, asked: Asked, payload: Any, account: str) -> Reply:
        wanted = jws.unb64(payload["certificate"])
        for id_, order in self.all("order"):
            chain = order.get("chain")
            if chain is None:
                continue
            (one,) = x509.load_pem_x509_certificates(chain.encode())
            if one.public_bytes(serialization.Encoding.DER) != wanted:
                continue
            if order.get("revoked"):
                raise Problem(400, "alreadyRevoked", "it is revoked already")
            self.put("order", id_, order | {"revoked": True})
            self.gone(f"{order['base']}/certificate/{id_}")
            return Reply({})
        raise Problem(404, "malformed", "there is no such certificate")

    def _sign(self, csr: x509.CertificateSigningRequest) -> str:
        key, name = self._authority()
        now = datetime.now(UTC)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(name)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(names.value, critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )

    def _authority(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
        """The CA's own key, made at its first signature."""
        kept = self.get("authority", "key")
        if kept is None:
            kept = {"key": jws.key_as_line(jws.new_key())}
            self.put("authority", "key", kept)
        attribute = x509.NameAttribute(NameOID.COMMON_NAME, "Simulated CA")
        return jws.key_of_line(kept["key"]), x509.Name([attribute])
