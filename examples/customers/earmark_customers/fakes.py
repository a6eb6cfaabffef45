"""Three simulated providers, each with the rules of its real kind that matter here."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from earmark import Connector
from earmark.providers.transport import Exchange
from earmark.testing import Asked, Effect, HttpFake, Problem, Reply
from earmark_customers import connector
from earmark_customers.calls import Json
from earmark_customers.trace import TRACE

KEY = "example-key"
#: A customer whose name ends so does not pay.
DECLINED = "-declined"
#: What a plan has besides the bucket for files.
FEATURES: Mapping[str, list[str]] = {"basic": [], "business": ["archive", "media"]}


class _Keyed(HttpFake):
    """A fake that lets in whoever has the key."""

    header = TRACE
    secrets: Mapping[str, str] = {"key": KEY}
    product = ""
    wrong_key = "unauthorized"
    make: Callable[[Exchange], Connector]

    @property
    def settings(self) -> Mapping[str, Any]:
        """An address that nobody has: it is asked in the process."""
        return {"url": f"http://{self.product}.test"}

    def handle(self, asked: Asked) -> Reply:
        """Check the key, and route."""
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            raise Problem(401, self.wrong_key, "the key is wrong")
        if asked.path == ("about",):
            return Reply({"product": f"simulated {self.product}"})
        return self.routed(asked)

    def routed(self, asked: Asked) -> Reply:
        """Do what an authentic request asks."""
        raise NotImplementedError


class FakeDns(_Keyed):
    """One zone's records. PUT and DELETE take conditions (RFC 9110 §13)."""

    product = "dns"

    @property
    def connector(self) -> Connector:
        """The connector, with this fake in place of the network."""
        return connector.dns(self.exchange)

    def routed(self, asked: Asked) -> Reply:
        """`/records/NAME`."""
        name = asked.path[-1]
        there = self.get("record", name)
        if asked.method == "PUT":
            if there is not None and asked.headers.get("if-none-match") == "*":
                raise Problem(412, "exists", f"there is a record {name}")
            self.made(asked.token, name)
            return Reply(self._written(name, json.loads(asked.body)))
        if there is None:
            raise Problem(404, "no_such_record", f"there is no record {name}")
        if asked.method == "DELETE":
            if asked.headers.get("if-match") != f'"{there["etag"]}"':
                raise Problem(412, "changed", "somebody has changed it")
            self.drop("record", name)
            self.gone(name)
        return Reply(there)

    def stranger(self, like: Effect) -> None:
        """Somebody writes another value into the record."""
        with self.turn:
            self._written(like.id, {"value": "elsewhere.test", "comment": "by hand"})

    def _written(self, name: str, record: Json) -> Json:
        content = json.dumps(record, sort_keys=True).encode()
        written = record | {"etag": hashlib.sha256(content).hexdigest()[:16]}
        self.put("record", name, written)
        return written


class FakeObjects(_Keyed):
    """Buckets. Names are shared with all the world, and some are taken."""

    product = "objects"
    wrong_key = "InvalidAccessKeyId"
    refusal = Problem(403, "AccessDenied", "a fault was asked for (simulated)")

    @property
    def connector(self) -> Connector:
        """The connector, with this fake in place of the network."""
        return connector.objects(self.exchange)

    def routed(self, asked: Asked) -> Reply:
        """`/BUCKET`, and `/BUCKET/OBJECT` to put something in."""
        name = asked.path[0]
        there = self.get("bucket", name)
        if there is not None and there["owner"] != KEY:
            no = "BucketAlreadyExists" if asked.method == "PUT" else "AccessDenied"
            raise Problem(409 if asked.method == "PUT" else 403, no, "another's bucket")
        if asked.method == "PUT" and len(asked.path) == 1:
            return self._create(asked, name, there)
        if there is None:
            raise Problem(404, "NoSuchBucket", f"there is no bucket {name}")
        if asked.method == "PUT":
            there["objects"] += 1
            self.put("bucket", name, there)
        if asked.method == "DELETE":
            if there["objects"]:
                raise Problem(409, "BucketNotEmpty", "there are objects in it")
            self.drop("bucket", name)
            self.gone(name)
        return Reply(there)

    def _create(self, asked: Asked, name: str, there: Json | None) -> Reply:
        if there is not None:
            raise Problem(409, "BucketAlreadyOwnedByYou", "it is yours already")
        tags = json.loads(asked.body)["tags"]
        endpoint = f"{name}.{urlsplit(asked.url).netloc}"
        made = {"owner": KEY, "endpoint": endpoint, "tags": tags, "objects": 0}
        self.put("bucket", name, made)
        self.made(asked.token, name)
        return Reply(made)

    def taken(self, name: str, owner: str = "somebody else") -> None:
        """Let there be a bucket that no task of ours has made."""
        bucket = {"owner": owner, "endpoint": "?", "tags": {}, "objects": 0}
        with self.turn:
            self.put("bucket", name, bucket)

    def stranger(self, like: Effect) -> None:
        """A bucket of the same name, and of our account, that a person has made."""
        self.taken(like.id, KEY)


class FakeBilling(_Keyed):
    """Subscriptions. The first payment takes some seconds; a key is remembered."""

    product = "billing"
    wrong_key = "api_key_invalid"

    def __init__(
        self, file: str | Path = ":memory:", *, paying: float = 0.0, life: float = 86400
    ) -> None:
        super().__init__(file)
        self._paying = paying
        self._life = life

    @property
    def connector(self) -> Connector:
        """The connector, with this fake in place of the network."""
        return connector.billing(self.exchange)

    def routed(self, asked: Asked) -> Reply:
        """`/v1/subscriptions`, and `/v1/subscriptions/ID`."""
        if asked.method == "POST":
            return self._once(asked)
        if len(asked.path) == 2:
            (customer,) = parse_qs(urlsplit(asked.url).query)["customer"]
            every = (self._shown(one) for _, one in self.all("subscription"))
            return Reply({"data": [s for s in every if s["customer"] == customer]})
        there = self.get("subscription", asked.path[2])
        if there is None:
            raise Problem(404, "resource_missing", "no such subscription")
        if asked.method == "DELETE":
            there["status"] = "canceled"
            self.put("subscription", there["id"], there)
            self.gone(there["id"])
        return Reply(self._shown(there))

    def _once(self, asked: Asked) -> Reply:
        """The first result of the request's key, while it is remembered."""
        key = asked.headers.get("idempotency-key") or uuid4().hex
        digest = hashlib.sha256(asked.body).hexdigest()
        kept = self.get("key", key)
        if kept is not None and kept["at"] + self._life > time.time():
            if kept["digest"] != digest:
                raise Problem(400, "idempotency_error", "the key had another request")
            return Reply(kept["body"])
        made = self._shown(self._subscribe(asked))
        self.put("key", key, {"digest": digest, "at": time.time(), "body": made})
        return Reply(made)

    def _subscribe(self, asked: Asked) -> Json:
        wanted = json.loads(asked.body)
        if wanted["plan"] not in FEATURES:
            raise Problem(400, "parameter_invalid", "there is no such plan")
        id_ = f"sub_{uuid4().hex}"
        paid_at = time.time() + self._paying
        made = {"id": id_, "status": "", "paid_at": paid_at, **wanted}
        self.put("subscription", id_, made)
        self.made(asked.token, id_)
        return made

    def _shown(self, one: Json) -> Json:
        status = one["status"]
        if not status and one["paid_at"] > time.time():
            status = "incomplete"
        elif not status:
            declined = one["customer"].endswith(DECLINED)
            status = "incomplete_expired" if declined else "active"
        return one | {"status": status, "features": FEATURES[one["plan"]]}

    def effects(self) -> list[Effect]:
        """A subscription that was never paid is not there."""
        with self.turn:
            kept = {id_: self._shown(one) for id_, one in self.all("subscription")}
        runs = ("active", "incomplete")
        return [
            Effect(one.token, one.id, one.there and kept[one.id]["status"] in runs)
            for one in super().effects()
        ]

    def stranger(self, like: Effect) -> None:
        """Somebody subscribes the same customer by hand."""
        with self.turn:
            one = self.get("subscription", like.id)
            if one is not None:
                by_hand = {"id": f"sub_{uuid4().hex}", "metadata": {}}
                self.put("subscription", by_hand["id"], one | by_hand)  # type: ignore[arg-type]
