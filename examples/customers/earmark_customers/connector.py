"""Three kinds of provider: DNS, an object store, and billing.

The class of an operation is a claim about its provider; `source` says where it is
written down. The README tells why each is what it is.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from earmark import (
    Credentials,
    Deadline,
    EffectClass,
    Operation,
    ProviderConfig,
    Unsupported,
)
from earmark.providers.transport import Exchange, Url, network
from earmark_customers.calls import Api, Calls
from earmark_customers.clients import (
    Buckets,
    Client,
    Doorkeeper,
    Records,
    Subscriptions,
)

C = TypeVar("C")


def _operation(name: str, effect: EffectClass, source: str, **more: Any) -> Operation:
    return Operation(
        name,
        effect,
        source=source,
        max_in_flight=timedelta(seconds=30),
        send_seconds=15.0,
        poll_seconds=1.0,
        **more,
    )


DNS_OPERATIONS = (
    _operation(
        "record.create",
        EffectClass.IDENTITY,
        "RFC 9110 §13.1.2: PUT with If-None-Match: * is done only where nothing is, "
        "and else answered 412",
    ),
    _operation(
        "record.remove",
        EffectClass.ABSOLUTE,
        "RFC 9110 §9.3.5 and §13.1.1: DELETE with If-Match asks for a state",
    ),
)
OBJECT_OPERATIONS = (
    _operation(
        "bucket.create",
        EffectClass.IDENTITY,
        "S3 API, CreateBucket: a name is there once; asking again is answered "
        "BucketAlreadyOwnedByYou; tags come with the creation",
    ),
    _operation(
        "bucket.remove",
        EffectClass.ABSOLUTE,
        "S3 API, DeleteBucket: what is gone is NoSuchBucket",
    ),
)
BILLING_OPERATIONS = (
    _operation(
        "subscription.create",
        EffectClass.TOKEN,
        "Stripe API, Idempotent requests: a key is answered with the first result, and "
        "forgotten after 24 hours at the earliest",
        token_life=timedelta(hours=24),
    ),
    _operation(
        "subscription.cancel",
        EffectClass.ABSOLUTE,
        "Stripe API, Cancel a subscription: canceled is a final status",
    ),
)


class Session:
    """A provider's clients. Nothing is kept open between calls."""

    def __init__(self, api: Api, client: type[Client]) -> None:
        self._api = api
        self._client = client

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """Return the client; raises `Unsupported` for what this kind cannot do."""
        client = self._client(Calls(self._api, deadline))
        if capability is self._client:
            return cast(C, client)
        if capability is Credentials:
            return cast(C, Doorkeeper(client, self._api.name, self._api.url))
        raise Unsupported(f"{self._api.name} has no {capability.__name__}.")

    def close(self) -> None:
        """Nothing to let go of."""


class Settings(BaseModel):
    """Where the provider is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url


class ExampleConnector:
    """One of the three kinds of provider."""

    settings: type[BaseModel] = Settings
    secrets: Mapping[str, str] = {"key": "API key"}

    def __init__(
        self,
        kind: str,
        title: str,
        client: type[Client],
        operations: Collection[Operation],
        refusals: Collection[str],
        absent: str,
        exchange: Exchange | None = None,
    ) -> None:
        self.kind = kind
        self.title = title
        self.operations: Mapping[str, Operation] = {one.name: one for one in operations}
        self._client = client
        self._refusals = refusals
        self._absent = absent
        self._exchange = exchange

    def open(self, config: ProviderConfig) -> Session:
        """Return a session."""
        settings = config.settings
        assert isinstance(settings, Settings)
        exchange = self._exchange or network()
        where, key = settings.url, config.secrets["key"]
        words = self._refusals, self._absent
        return Session(Api(self.title, where, key, exchange, *words), self._client)


def dns(exchange: Exchange | None = None) -> ExampleConnector:
    """The connector for DNS; a fake gives its own way to be asked."""
    return ExampleConnector(
        "example-dns",
        "DNS (example)",
        Records,
        DNS_OPERATIONS,
        {"bad_request", "changed", "exists", "refused", "unauthorized"},
        "no_such_record",
        exchange,
    )


def objects(exchange: Exchange | None = None) -> ExampleConnector:
    """The connector for the object store."""
    no = "AccessDenied BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty"
    return ExampleConnector(
        "example-objects",
        "Object store (example)",
        Buckets,
        OBJECT_OPERATIONS,
        {*no.split(), "InvalidBucketName", "InvalidAccessKeyId"},
        "NoSuchBucket",
        exchange,
    )


def billing(exchange: Exchange | None = None) -> ExampleConnector:
    """The connector for billing. `idempotency_key_in_use` is no refusal: it says that
    an earlier request with our token is being carried out."""
    return ExampleConnector(
        "example-billing",
        "Billing (example)",
        Subscriptions,
        BILLING_OPERATIONS,
        {"api_key_invalid", "parameter_invalid", "refused"},
        "resource_missing",
        exchange,
    )


DNS = dns()
OBJECTS = objects()
BILLING = billing()
