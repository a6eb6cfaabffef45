"""From a customer's name to a site of their own that is paid for."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from earmark import (
    Child,
    Command,
    Composite,
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    JobUnknown,
    Lock,
    ProviderRef,
    Results,
    Running,
    Tx,
    exclusive,
)
from earmark_customers.clients import Buckets, Records, Subscriptions
from earmark_customers.taking_back import (
    CancelSubscription,
    RemoveBucket,
    RemoveRecord,
    handle,
    parts,
)

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
Plan = Literal["basic", "business"]


class Bucket(BaseModel, frozen=True):
    """A bucket, and where it is reached."""

    name: str
    endpoint: str


class Subscription(BaseModel, frozen=True):
    """A subscription, and which features the plan has now: billing knows."""

    id: str
    features: tuple[str, ...]


class Customer(BaseModel, frozen=True):
    """What a customer has."""

    site: str
    buckets: tuple[str, ...]
    subscription: str


class CreateBucket(ExternalJob[Bucket]):
    """Make a bucket of a name that we choose, with our mark among its tags."""

    title = "Create bucket {bucket}"
    operation = "bucket.create"
    objects: ProviderRef
    bucket: str

    def send(self, ctx: Ctx) -> str:
        tags = {"earmark": ctx.mark}
        ctx.connect(Buckets).create(self.bucket, tags, token=ctx.token)
        return handle(self.bucket, ctx.mark)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        there = ctx.connect(Buckets).bucket(self.bucket)
        if there is None:
            return []
        # A bucket of ours may be another task's: the tag tells.
        shown = there["tags"].get("earmark")
        return [Found(handle(self.bucket, ctx.mark), mark=shown)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[Bucket] | Failed:
        there = ctx.connect(Buckets).bucket(self.bucket)
        if there is None:
            raise JobUnknown(f"There is no bucket {self.bucket}.")
        return Done(Bucket(name=self.bucket, endpoint=there["endpoint"]))

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        name, mark = parts(job)
        return RemoveBucket(objects=self.objects, bucket=name, mark=mark)


class CreateRecord(ExternalJob[str]):
    """Let a name lead to the bucket that a sibling made; the result is the name."""

    title = "Create record {name}"
    operation = "record.create"
    dns: ProviderRef
    name: str

    def prepare(self, ctx: Ctx) -> Any:
        return ctx.results.of("bucket", CreateBucket).endpoint

    def send(self, ctx: Ctx) -> str:
        records = ctx.connect(Records)
        etag = records.create(self.name, ctx.request, ctx.mark, token=ctx.token)
        return handle(self.name, etag)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        there = ctx.connect(Records).record(self.name)
        if there is None:
            return []
        return [Found(handle(self.name, there["etag"]), mark=there["comment"])]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        if ctx.connect(Records).record(self.name) is None:
            raise JobUnknown(f"There is no record {self.name}.")
        return Done(self.name)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        name, etag = parts(job)
        return RemoveRecord(dns=self.dns, name=name, etag=etag)


class Subscribe(ExternalJob[Subscription]):
    """Subscribe the customer; done once the first payment has come."""

    title = "Subscribe {customer} to {plan}"
    operation = "subscription.create"
    billing: ProviderRef
    customer: str
    plan: Plan

    def prepare(self, ctx: Ctx) -> Any:
        return {"site": ctx.results.of("record", CreateRecord)}

    def send(self, ctx: Ctx) -> str:
        marked = {"earmark": ctx.mark, "site": ctx.request["site"]}
        wanted = {"customer": self.customer, "plan": self.plan, "metadata": marked}
        return ctx.connect(Subscriptions).create(wanted, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [
            Found(one["id"], ctx.token, facts={"status": one["status"]})
            for one in ctx.connect(Subscriptions).of(self.customer)
            if one["metadata"].get("earmark") == ctx.mark
        ]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[Subscription] | Failed:
        there = ctx.connect(Subscriptions).subscription(job)
        if there is None:
            raise JobUnknown(f"There is no subscription {job}.")
        if there["status"] == "active":
            return Done(Subscription(id=job, features=there["features"]))
        if there["status"] == "incomplete":
            return Running(message="the first payment is under way")
        return Failed(f"The subscription is {there['status']}.", code=there["status"])

    def cancel(self, ctx: Ctx, job: str) -> None:
        ctx.connect(Subscriptions).cancel(job, token=ctx.token)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return CancelSubscription(billing=self.billing, subscription=job)


class ProvisionCustomer(Composite[Customer]):
    """Give a customer a bucket, a name that leads to it, and a subscription.

    The subscription comes last, since it costs the customer. Which buckets the plan
    has besides is known only to billing: they are a phase of their own.
    """

    title = "Provision customer {name}"
    dns: ProviderRef
    objects: ProviderRef
    billing: ProviderRef
    name: Slug
    plan: Plan = "basic"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("customer", self.name)]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        bucket = CreateBucket(objects=self.objects, bucket=f"{self.name}-files")
        record = CreateRecord(dns=self.dns, name=self.name)
        paid = Subscribe(billing=self.billing, customer=self.name, plan=self.plan)
        return {
            "bucket": bucket,
            "record": Child(record, after=("bucket",)),
            "subscription": Child(paid, after=("record",)),
        }

    def next_phase(
        self, tx: Tx, results: Results
    ) -> Mapping[str, Command[Any] | Child]:
        features = results.of("subscription", Subscribe).features
        known = set(results.keys())
        return {
            feature: CreateBucket(objects=self.objects, bucket=f"{self.name}-{feature}")
            for feature in features
            if feature not in known
        }

    def finish(self, tx: Tx, results: Results) -> Customer:
        paid = results.of("subscription", Subscribe)
        made = ("bucket", *paid.features)
        return Customer(
            site=results.of("record", CreateRecord),
            buckets=tuple(results.of(key, CreateBucket).name for key in made),
            subscription=paid.id,
        )
