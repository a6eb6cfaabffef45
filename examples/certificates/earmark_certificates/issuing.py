"""From an order to a signed certificate, as RFC 8555 §7.1 goes."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from earmark import (
    Action,
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    JobUnknown,
    ProviderRef,
    Running,
    Secret,
    Tx,
)
from earmark_certificates import pem
from earmark_certificates.balancers import Balancers
from earmark_certificates.ca import Acme, Json
from earmark_certificates.jws import new_key
from earmark_certificates.taking_back import (
    AbandonOrder,
    RevokeCertificate,
)

Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=253)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]


class Ordered(BaseModel, frozen=True):
    """An order, and what has to be published for it."""

    order: str
    finalize: str
    authorization: str
    challenge: str
    challenge_token: str
    publish: str


class Issued(BaseModel, frozen=True):
    """A certificate with its chain. Nothing of it is secret."""

    order: str
    chain: str
    fingerprint: str


class MakeKey(Action[Secret]):
    """Make the certificate's private key. To make one twice harms nobody: what ends
    first counts, and nobody has seen the other."""

    title = "Make a private key"
    ca: ProviderRef

    def run(self, ctx: Ctx) -> Secret:
        return Secret(pem.key_to_pem(new_key()))


class Register(ExternalJob[str]):
    """Have an account at the CA; the result is its URL."""

    title = "Account at {ca}"
    operation = "account.register"
    ca: ProviderRef

    def prepare(self, ctx: Ctx) -> Any:
        account = ctx.connect(Acme).account()
        return Done(account, "there is one already") if account else None

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Acme).register(ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        # Nobody else has the key that the account is known by: the key is the proof.
        account = ctx.connect(Acme).account()
        return [Found(account, ctx.token, Done(account))] if account else []

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Done(job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return None  # the account is for every order, not for this one


class NewOrder(ExternalJob[Ordered]):
    """Order a certificate. The CA keeps no token and no mark: its list of our orders,
    and who may order for this host at a time, tell which one is ours."""

    title = "Order a certificate for {host}"
    operation = "order.create"
    ca: ProviderRef
    host: Host

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(Acme).new_order(self.host, ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        wanted = [{"type": "dns", "value": self.host}]
        return [
            Found(url, facts={"status": order["status"]})
            for url, order in ctx.connect(Acme).orders()
            if order["identifiers"] == wanted and order["status"] != "invalid"
        ]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[Ordered] | Failed:
        acme = ctx.connect(Acme)
        order = acme.order(job)
        if order["status"] == "invalid":
            return Failed(f"The order is invalid: {_reason(order)}")
        (authorization,) = order["authorizations"]
        challenge = _http_challenge(acme.authorization(authorization))
        if challenge is None:
            return Failed("The CA offers no challenge by HTTP.", code="no-challenge")
        return Done(
            Ordered(
                order=job,
                finalize=order["finalize"],
                authorization=authorization,
                challenge=challenge["url"],
                challenge_token=challenge["token"],
                publish=acme.key_authorization(challenge["token"]),
            )
        )

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return AbandonOrder(ca=self.ca, order=job)


class PublishChallenge(ExternalJob[str]):
    """Let every balancer answer the CA's challenge; the result is its token."""

    title = "Publish the challenge for {host}"
    operation = "challenge.publish"
    balancers: ProviderRef
    host: Host

    def prepare(self, ctx: Ctx) -> Any:
        ordered = ctx.results.of("order", NewOrder)
        return {"token": ordered.challenge_token, "content": ordered.publish}

    def send(self, ctx: Ctx) -> str:
        name, content = ctx.request["token"], ctx.request["content"]
        fleet = ctx.connect(Balancers)
        fleet.publish(name, self.host, content, our_token=ctx.token)
        return str(name)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        name, content = ctx.request["token"], ctx.request["content"]
        there = ctx.connect(Balancers).challenge(name)
        if there is None or there["content"] != content:
            return []
        return [Found(name, done=Done(name))]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        if not self.find(ctx):
            return Failed("The challenge is not published any more.", code="diverged")
        return Done(job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return WithdrawChallenge(balancers=self.balancers, challenge=job)


class WithdrawChallenge(ExternalJob[str]):
    """Let no balancer answer the challenge any more: the one that a sibling published,
    or, to take that back, the one that is named."""

    title = "Withdraw the challenge"
    operation = "challenge.withdraw"
    balancers: ProviderRef
    challenge: str = ""

    def prepare(self, ctx: Ctx) -> Any:
        name = self._name(ctx)
        if ctx.connect(Balancers).challenge(name) is None:
            return Done(name, "it is gone already")
        return name

    def _name(self, ctx: Ctx) -> str:
        return self.challenge or ctx.results.of("publish", PublishChallenge)

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Balancers).withdraw(ctx.request, our_token=ctx.token)
        return str(ctx.request)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        name = self._name(ctx)
        return [] if ctx.connect(Balancers).challenge(name) else [Found(name)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        there = ctx.connect(Balancers).challenge(job)
        return Running(message="still published") if there else Done(job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return None


class Respond(ExternalJob[str]):
    """Let the CA validate; the result is the authorization's URL."""

    title = "Let the CA look at {host}"
    operation = "challenge.respond"
    ca: ProviderRef
    host: Host

    def prepare(self, ctx: Ctx) -> Any:
        ordered = ctx.results.of("order", NewOrder)
        authorization = ctx.connect(Acme).authorization(ordered.authorization)
        if authorization["status"] == "valid":
            return Done(ordered.authorization, "the CA trusts an earlier look")
        return {"challenge": ordered.challenge, "job": ordered.authorization}

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Acme).respond(ctx.request["challenge"], ctx.token)
        return str(ctx.request["job"])

    def find(self, ctx: Ctx) -> Sequence[Found]:
        job = ctx.results.of("order", NewOrder).authorization
        authorization = ctx.connect(Acme).authorization(job)
        challenge = _http_challenge(authorization)
        if challenge is None or challenge["status"] == "pending":
            return []
        return [Found(job)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        authorization = ctx.connect(Acme).authorization(job)
        if authorization["status"] == "valid":
            return Done(job)
        if authorization["status"] == "pending":
            return Running(message="the CA has not looked yet")
        challenge = _http_challenge(authorization) or {}
        return Failed(f"The CA did not find our answer: {_reason(challenge)}")

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return None  # giving the order up gives the authorization up


class Finalize(ExternalJob[Issued]):
    """Hand in the request that our key signed, and fetch the certificate."""

    title = "Have the certificate for {host} signed"
    operation = "order.finalize"
    ca: ProviderRef
    host: Host

    def prepare(self, ctx: Ctx) -> Any:
        ordered = ctx.results.of("order", NewOrder)
        key = ctx.reveal(ctx.results.of("key", MakeKey))
        csr = pem.csr_of(key, self.host)
        return {
            "order": ordered.order,
            "finalize": ordered.finalize,
            "csr": base64.b64encode(csr).decode(),
            "public_key": pem.public_of_csr(csr),
        }

    def send(self, ctx: Ctx) -> str:
        request = ctx.request
        csr = base64.b64decode(request["csr"])
        ctx.connect(Acme).finalize(request["finalize"], csr, ctx.token)
        return str(request["order"])

    def find(self, ctx: Ctx) -> Sequence[Found]:
        acme, job = ctx.connect(Acme), str(ctx.request["order"])
        order = acme.order(job)
        if order["status"] not in ("processing", "valid"):
            return []
        # Only this plan knows of this order. Once it is signed, the key is the proof.
        ours = order["status"] == "processing" or self._is_ours(ctx, acme, order)
        return [Found(job, ctx.token if ours else None)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[Issued] | Failed:
        acme = ctx.connect(Acme)
        order = acme.order(job)
        if order["status"] == "processing":
            return Running(message="the CA is signing")
        if order["status"] == "invalid":
            return Failed(f"The CA did not sign: {_reason(order)}")
        if order["status"] != "valid":
            raise JobUnknown(f"The order is {order['status']}, not handed in.")
        if not self._is_ours(ctx, acme, order):
            return Failed("The certificate is for another key.", code="other-key")
        chain = acme.certificate(order["certificate"])
        issued = Issued(order=job, chain=chain, fingerprint=pem.fingerprint(chain))
        return Done(issued, f"fingerprint {issued.fingerprint[:16]}…")

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return RevokeCertificate(ca=self.ca, order=job)

    @staticmethod
    def _is_ours(ctx: Ctx, acme: Acme, order: Json) -> bool:
        chain = acme.certificate(order["certificate"])
        return bool(pem.public_of(chain) == ctx.request["public_key"])


def _http_challenge(authorization: Json) -> Json | None:
    found = (one for one in authorization["challenges"] if one["type"] == "http-01")
    return next(found, None)


def _reason(thing: Json) -> str:
    error = thing.get("error") or {}
    return str(error.get("detail") or "the CA does not say why")
