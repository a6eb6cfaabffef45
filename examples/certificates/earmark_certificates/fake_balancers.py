"""A simulated fleet of load balancers. It loads what it is given, and notices a key
that does not belong to its certificate."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from earmark import Connector
from earmark.testing import Asked, Effect, HttpFake, Problem, Reply
from earmark_certificates import pem
from earmark_certificates.balancers import Json
from earmark_certificates.connector import BalancerConnector
from earmark_certificates.trace import TRACE

NAMES = ("lb1", "lb2", "lb3", "lb4", "lb5")
PASSWORD = "fleet-password"  # noqa: S105 - of a simulated fleet


class FakeBalancers(HttpFake):
    """The fleet: five balancers, and the challenges that all of them answer."""

    header = TRACE
    settings: Mapping[str, Any] = {"url": "http://balancers.test"}
    secrets: Mapping[str, str] = {"password": PASSWORD}

    def __init__(
        self, file: str | Path = ":memory:", names: Sequence[str] = NAMES
    ) -> None:
        super().__init__(file)
        self._names = names

    @property
    def connector(self) -> Connector:
        """The connector, with this fleet in place of the network."""
        return BalancerConnector(self.exchange)

    def look(self, host: str, token: str) -> str | None:
        """What whoever asks the host for a challenge gets: the CA does."""
        with self.turn:
            found = self.get("challenge", token)
        return str(found["content"]) if found and found["host"] == host else None

    def served(self, balancer: str, host: str) -> str | None:
        """The fingerprint of what a client of the host is shown."""
        with self.turn:
            stack = (self.get("site", f"{balancer}/{host}") or {}).get("stack", [])
        return stack[-1]["fingerprint"] if stack else None

    def handle(self, asked: Asked) -> Reply:
        """Route a request."""
        if asked.headers.get("authorization") != f"Bearer {PASSWORD}":
            raise Problem(401, "unauthorised", "the password is wrong")
        match asked.path:
            case ("about",):
                return Reply({"product": "Simulated balancers"})
            case ("challenges", token):
                return self._challenge(asked, token)
            case ("balancers", name, "sites", host):
                if name not in self._names:
                    raise Problem(404, "no-such-balancer", f"there is no {name}")
                return self._site(asked, f"{name}/{host}")
        raise Problem(400, "bad-request", "there is no such address")

    def _challenge(self, asked: Asked, token: str) -> Reply:
        there = self.get("challenge", token)
        if asked.method == "PUT":
            if there is None:
                self.made(asked.token, f"challenge {token}")
            self.put("challenge", token, json.loads(asked.body))
            return Reply(status=204)
        if there is None:
            raise Problem(404, "nothing-there", "no such challenge is answered")
        if asked.method == "DELETE":
            self.drop("challenge", token)
            self.gone(f"challenge {token}")
            return Reply(status=204)
        return Reply(there)

    def _site(self, asked: Asked, name: str) -> Reply:
        stack = (self.get("site", name) or {"stack": []})["stack"]
        if asked.method == "PUT":
            return self._install(asked, name, stack)
        if not stack:
            raise Problem(404, "nothing-there", "no certificate is served")
        top = stack[-1]["fingerprint"]
        if asked.method == "DELETE":
            if asked.headers.get("if-match") != f'"{top}"':
                raise Problem(412, "other-certificate", "another one is served")
            self.put("site", name, {"stack": stack[:-1]})
            self.gone(f"{name} {top}")
            return Reply(status=204)
        return Reply({"fingerprint": top, "state": "loaded"})

    def _install(self, asked: Asked, name: str, stack: list[Json]) -> Reply:
        body = json.loads(asked.body)
        key = serialization.load_pem_private_key(body["key"].encode(), None)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = key.public_key().public_bytes(serialization.Encoding.DER, form)
        if pem.name_of(public) != pem.public_of(body["certificate"]):
            raise Problem(400, "bad-request", "the key is of another certificate")
        fingerprint = pem.fingerprint(body["certificate"])
        if not stack or stack[-1]["fingerprint"] != fingerprint:
            self.made(asked.token, f"{name} {fingerprint}")
            self.put(
                "site", name, {"stack": [*stack, body | {"fingerprint": fingerprint}]}
            )
        return Reply(status=204)

    def stranger(self, like: Effect) -> None:
        """Somebody else puts another certificate where ours was."""
        name, _, _ = like.id.partition(" ")
        if name == "challenge":
            return
        with self.turn:
            stack = (self.get("site", name) or {"stack": []})["stack"]
            self.put("site", name, {"stack": [*stack, {"fingerprint": "f" * 64}]})
