"""What takes the steps back. Each may run when there is nothing to take back any more,
and takes nothing that is not provably what the step did."""

import base64
from collections.abc import Sequence
from typing import Any

from earmark import (
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    ProviderRef,
    Running,
)
from earmark_certificates import pem
from earmark_certificates.balancers import Balancers
from earmark_certificates.ca import Acme, Json


class AbandonOrder(ExternalJob[str]):
    """Give the order's authorization up, and the order with it, if it is unfinished."""

    title = "Abandon the order"
    operation = "order.abandon"
    ca: ProviderRef
    order: str

    def prepare(self, ctx: Ctx) -> Any:
        acme = ctx.connect(Acme)
        (job,) = acme.order(self.order)["authorizations"]
        if not _stands(acme.authorization(job)):
            return Done(job, "it is given up already")
        return job

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Acme).deactivate(ctx.request, ctx.token)
        return str(ctx.request)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        stands = _stands(ctx.connect(Acme).authorization(ctx.request))
        return [] if stands else [Found(ctx.request)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        stands = _stands(ctx.connect(Acme).authorization(job))
        return Running(message="not given up yet") if stands else Done(job)


class RevokeCertificate(ExternalJob[str]):
    """Revoke what the order has brought, if it has brought anything."""

    title = "Revoke the certificate"
    operation = "certificate.revoke"
    ca: ProviderRef
    order: str

    def prepare(self, ctx: Ctx) -> Any:
        acme = ctx.connect(Acme)
        url = acme.order(self.order).get("certificate")
        if not url:
            return Done(self.order, "nothing was signed")
        der = base64.b64encode(pem.to_der(acme.certificate(url))).decode()
        return {"url": url, "certificate": der}

    def send(self, ctx: Ctx) -> str:
        der = base64.b64decode(ctx.request["certificate"])
        ctx.connect(Acme).revoke(der, ctx.token)
        return str(ctx.request["url"])

    def find(self, ctx: Ctx) -> Sequence[Found]:
        # ACME shows nowhere that a certificate is revoked; asking again does.
        return []

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Done(job)


class TakeOff(ExternalJob[str]):
    """Take this very certificate off a balancer; another one stays."""

    title = "Take the certificate for {host} off {balancer}"
    operation = "certificate.take_off"
    balancers: ProviderRef
    balancer: str
    host: str
    fingerprint: str

    def prepare(self, ctx: Ctx) -> Any:
        if not self._is_there(ctx):
            return Done(self.balancer, "it is not served there")
        return None

    def send(self, ctx: Ctx) -> str:
        fleet = ctx.connect(Balancers)
        fleet.take_off(self.balancer, self.host, self.fingerprint, token=ctx.token)
        return self.balancer

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [] if self._is_there(ctx) else [Found(self.balancer)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        there = self._is_there(ctx)
        return Running(message="still served") if there else Done(job)

    def _is_there(self, ctx: Ctx) -> bool:
        site = ctx.connect(Balancers).site(self.balancer, self.host)
        return site is not None and site["fingerprint"] == self.fingerprint


def serves(site: Json | None, fingerprint: str) -> bool:
    """Whether a site serves this certificate, loaded and all."""
    if site is None:
        return False
    return bool(site["fingerprint"] == fingerprint and site["state"] == "loaded")


def _stands(authorization: Json) -> bool:
    return authorization["status"] in ("pending", "valid")
