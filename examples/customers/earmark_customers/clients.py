"""The clients of the three providers: each is a capability of its connector."""

from collections.abc import Mapping, Sequence
from typing import Any

from earmark import Credentials, Refused, Verification, VerifyCode
from earmark.providers.transport import verification_of
from earmark_customers.calls import Calls, Json


class Client:
    """What the three have in common."""

    def __init__(self, calls: Calls) -> None:
        self._call = calls

    def about(self) -> Json:
        """Who answers; raises `Refused` for a wrong key."""
        return self._call("GET", "about") or {}


class Records(Client):
    """DNS records by name. `etag` names a record's content."""

    def record(self, name: str) -> Json | None:
        """The record: value, comment and etag."""
        return self._call("GET", "records", name)

    def create(self, name: str, value: str, comment: str, *, token: str) -> str:
        """Make the record where there is none; returns its etag."""
        made = self._call(
            "PUT",
            "records",
            name,
            body={"type": "CNAME", "value": value, "comment": comment},
            headers={"If-None-Match": "*"},
            token=token,
        )
        return str((made or {})["etag"])

    def remove(self, name: str, etag: str, *, token: str) -> None:
        """Remove the record, if that is its content."""
        match = {"If-Match": f'"{etag}"'}
        self._call("DELETE", "records", name, headers=match, token=token)


class Buckets(Client):
    """Buckets by name, which is unique among all customers of the store."""

    def bucket(self, name: str) -> Json | None:
        """The bucket: endpoint, tags, and how many objects it has."""
        return self._call("GET", name)

    def create(self, name: str, tags: Mapping[str, str], *, token: str) -> None:
        """Make the bucket with its tags."""
        self._call("PUT", name, body={"tags": dict(tags)}, token=token)

    def remove(self, name: str, *, token: str) -> None:
        """Remove the bucket, which must be empty."""
        self._call("DELETE", name, token=token)


class Subscriptions(Client):
    """Subscriptions of customers, with metadata of ours in them."""

    def subscription(self, id_: str) -> Json | None:
        """The subscription: status, features and metadata."""
        return self._call("GET", "v1", "subscriptions", id_)

    def of(self, customer: str) -> Sequence[Json]:
        """Every subscription of a customer, also those that are over."""
        found = self._call("GET", "v1", "subscriptions", query=f"?customer={customer}")
        return list((found or {})["data"])

    def create(self, wanted: Mapping[str, Any], *, token: str) -> str:
        """Subscribe; returns the id. The same token is the same subscription for 24
        hours."""
        key = {"Idempotency-Key": token}
        made = self._call(
            "POST", "v1", "subscriptions", body=dict(wanted), headers=key, token=token
        )
        return str((made or {})["id"])

    def cancel(self, id_: str, *, token: str) -> None:
        """Cancel the subscription at once."""
        self._call("DELETE", "v1", "subscriptions", id_, token=token)


class Doorkeeper(Credentials):
    """Tries address and key."""

    def __init__(self, client: Client, name: str, url: str) -> None:
        self._client = client
        self._name = name
        self._url = url

    def verify(self) -> Verification:
        """Ask who answers; never raises for what it is meant to find."""
        try:
            self._client.about()
        except Refused as no:
            return Verification(code=VerifyCode.AUTH, detail=str(no))
        except Exception as error:
            found = verification_of(error, self._url)
            if found is None:
                raise
            return found
        return Verification(code=VerifyCode.OK, detail=f"Connected to {self._name}.")
