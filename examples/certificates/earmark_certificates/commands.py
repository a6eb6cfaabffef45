"""From a host's name to a certificate on every load balancer."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from earmark import (
    Child,
    Command,
    Composite,
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    Lock,
    ProviderRef,
    Rejected,
    Results,
    Running,
    Tx,
    exclusive,
)
from earmark_certificates.balancers import Balancers
from earmark_certificates.issuing import (
    Finalize,
    Host,
    MakeKey,
    NewOrder,
    PublishChallenge,
    Register,
    Respond,
    WithdrawChallenge,
    Word,
)
from earmark_certificates.taking_back import (
    TakeOff,
    serves,
)


class Install(ExternalJob[str]):
    """Serve the certificate on one balancer; the result is its fingerprint."""

    title = "Install the certificate for {host} on {balancer}"
    operation = "certificate.install"
    balancers: ProviderRef
    balancer: Word
    host: Host

    def prepare(self, ctx: Ctx) -> Any:
        issued = ctx.results.of("certificate", Finalize)
        site = ctx.connect(Balancers).site(self.balancer, self.host)
        if serves(site, issued.fingerprint):
            return Done(issued.fingerprint, "it is served already")
        return issued.fingerprint

    def send(self, ctx: Ctx) -> str:
        issued = ctx.results.of("certificate", Finalize)
        key = ctx.reveal(ctx.results.of("key", MakeKey))
        fleet, chain = ctx.connect(Balancers), issued.chain
        fleet.install(self.balancer, self.host, chain, key, token=ctx.token)
        return issued.fingerprint

    def find(self, ctx: Ctx) -> Sequence[Found]:
        ours = ctx.results.of("certificate", Finalize).fingerprint
        site = ctx.connect(Balancers).site(self.balancer, self.host)
        served = site is not None and site["fingerprint"] == ours
        return [Found(ours)] if served else []

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        site = ctx.connect(Balancers).site(self.balancer, self.host)
        if serves(site, job):
            return Done(job)
        if site is not None and site["fingerprint"] == job:
            return Running(message="the balancer is loading it")
        return Failed(f"{self.balancer} serves another one.", code="diverged")

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return TakeOff(
            balancers=self.balancers,
            balancer=self.balancer,
            host=self.host,
            fingerprint=job,
        )


class IssueCertificate(Composite[str]):
    """Have a certificate on every balancer named; the result is its fingerprint.

    They get it one after the other: one that does not load harms one balancer, not all.
    """

    title = "Certificate for {host}"
    ca: ProviderRef
    balancers: ProviderRef
    host: Host
    on: tuple[Word, ...] = Field(min_length=1, max_length=100)

    def locks(self) -> Sequence[Lock]:
        return [exclusive("certificate", self.host)]

    def check(self, tx: Tx) -> None:
        if len(set(self.on)) < len(self.on):
            raise Rejected("A balancer is named twice.")

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        ca, fleet, host = self.ca, self.balancers, self.host
        publish = PublishChallenge(balancers=fleet, host=host)
        look = Respond(ca=ca, host=host)
        withdraw = WithdrawChallenge(balancers=fleet)
        sign = Finalize(ca=ca, host=host)
        plan: dict[str, Command[Any] | Child] = {
            "key": MakeKey(ca=ca),
            "account": Register(ca=ca),
            "order": Child(NewOrder(ca=ca, host=host), after=("account",)),
            "publish": Child(publish, after=("order",)),
            "look": Child(look, after=("order", "publish")),
            "withdraw": Child(withdraw, after=("publish", "look")),
            "certificate": Child(sign, after=("key", "order", "look", "withdraw")),
        }
        last: tuple[str, ...] = ()
        for name in self.on:
            install = Install(balancers=fleet, balancer=name, host=host)
            plan[name] = Child(install, after=("key", "certificate", *last))
            last = (name,)
        return plan

    def finish(self, tx: Tx, results: Results) -> str:
        return results.of("certificate", Finalize).fingerprint
