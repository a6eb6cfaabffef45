"""Two kinds of provider: a CA that speaks ACME, and a fleet of load balancers.

The class of an operation is a claim about its provider; `source` says where it is
written down. The README tells why each is what it is.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from earmark import (
    BadInput,
    Credentials,
    Deadline,
    EffectClass,
    Operation,
    ProviderConfig,
    Refused,
    Unsupported,
    Verification,
    VerifyCode,
)
from earmark.providers.transport import Exchange, Url, network, verification_of
from earmark_certificates.balancers import Balancers
from earmark_certificates.ca import Acme
from earmark_certificates.jws import key_of_line

C = TypeVar("C")
Clients = Mapping[type[Any], Callable[[Deadline], Any]]


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


ACME_OPERATIONS = (
    _operation(
        "account.register",
        EffectClass.IDENTITY,
        "RFC 8555 §7.3: an account is its key; a newAccount with a known key is "
        "answered with the account that is there",
    ),
    _operation(
        "order.create",
        EffectClass.TASKS,
        "RFC 8555 §7.4 has neither a token nor room for a mark of ours; §7.1.2.1 lists "
        "the account's orders",
    ),
    _operation(
        "challenge.respond",
        EffectClass.ABSOLUTE,
        "RFC 8555 §8.2: a response may be sent again, which asks to validate again",
    ),
    _operation(
        "order.finalize",
        EffectClass.IDENTITY,
        "RFC 8555 §7.4: an order is finalized once, a second time is orderNotReady; "
        "and the certificate shows the public key of our CSR",
    ),
    _operation(
        "certificate.revoke",
        EffectClass.IDENTITY,
        "RFC 8555 §7.6: a certificate is revoked once, a second time is alreadyRevoked",
    ),
    _operation(
        "order.abandon",
        EffectClass.ABSOLUTE,
        "RFC 8555 §7.5.2: the state deactivated is what is asked for, and it is final",
    ),
)

_FLEET = "The fleet's API: PUT and DELETE ask for a state, and GET shows it at once"
BALANCER_OPERATIONS = tuple(
    _operation(name, EffectClass.ABSOLUTE, _FLEET)
    for name in (
        "certificate.install",
        "certificate.take_off",
        "challenge.publish",
        "challenge.withdraw",
    )
)


class Doorkeeper(Credentials):
    """Tries settings and secrets by asking for what only those get who may."""

    def __init__(self, ask: Callable[[], Any], where: str, what: str) -> None:
        self._ask = ask
        self._where = where
        self._what = what

    def verify(self) -> Verification:
        """Ask; never raises for what it is meant to find."""
        try:
            self._ask()
        except Refused as no:
            return Verification(code=VerifyCode.AUTH, detail=str(no))
        except Exception as error:
            found = verification_of(error, self._where)
            if found is None:
                raise
            return found
        return Verification(code=VerifyCode.OK, detail=f"Connected to {self._what}.")


class ExampleSession:
    """A provider's clients, by capability. Nothing is kept open between calls."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        """Return the client; raises `Unsupported` for what this kind cannot do."""
        client = self._clients.get(capability)
        if client is None:
            raise Unsupported(f"This provider has no {capability.__name__}.")
        return cast(C, client(deadline))

    def close(self) -> None:
        """Nothing to let go of."""


class AcmeSettings(BaseModel):
    """Where the CA is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Url


class AcmeConnector:
    """A CA as a kind of provider. The secret is the account's key, and its name."""

    kind = "acme-ca"
    title = "Certificate authority (ACME)"
    settings: type[BaseModel] = AcmeSettings
    secrets: Mapping[str, str] = {"account_key": "Account key (PKCS #8, one line)"}
    operations: Mapping[str, Operation] = {one.name: one for one in ACME_OPERATIONS}

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange

    def open(self, config: ProviderConfig) -> ExampleSession:
        """Return a session; raises `BadInput` for a key that is none."""
        settings = config.settings
        assert isinstance(settings, AcmeSettings)
        try:
            key = key_of_line(config.secrets["account_key"])
        except ValueError as error:
            raise BadInput(
                f"The account key is {error}.",
                hint="Make one: python -m earmark_certificates key",
                fields={"account_key": str(error)},
            ) from None
        exchange = self._exchange or network()

        def acme(deadline: Deadline) -> Acme:
            return Acme(settings.directory, key, exchange, deadline)

        def door(deadline: Deadline) -> Doorkeeper:
            client = acme(deadline)
            return Doorkeeper(client.account, settings.directory, "a CA")

        return ExampleSession({Acme: acme, Credentials: door})


class BalancerSettings(BaseModel):
    """Where the fleet is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url


class BalancerConnector:
    """A fleet of load balancers as a kind of provider."""

    kind = "balancers"
    title = "Load balancers (example)"
    settings: type[BaseModel] = BalancerSettings
    secrets: Mapping[str, str] = {"password": "Password"}
    operations: Mapping[str, Operation] = {one.name: one for one in BALANCER_OPERATIONS}

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange

    def open(self, config: ProviderConfig) -> ExampleSession:
        """Return a session."""
        settings = config.settings
        assert isinstance(settings, BalancerSettings)
        exchange = self._exchange or network()
        password = config.secrets["password"]

        def fleet(deadline: Deadline) -> Balancers:
            return Balancers(settings.url, password, exchange, deadline)

        def door(deadline: Deadline) -> Doorkeeper:
            client = fleet(deadline)
            return Doorkeeper(client.about, settings.url, "a fleet of load balancers")

        return ExampleSession({Balancers: fleet, Credentials: door})


ACME = AcmeConnector()
BALANCERS = BalancerConnector()
