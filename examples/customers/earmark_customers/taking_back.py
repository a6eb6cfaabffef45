"""What takes the steps back. Each may run when there is nothing to take back any more,
and takes nothing that is not provably what the step made."""

from collections.abc import Sequence
from typing import Any

from earmark import (
    Ctx,
    Done,
    ExternalJob,
    Failed,
    Found,
    ProviderRef,
    Rejected,
    Running,
)
from earmark_customers.clients import Buckets, Records, Subscriptions


def handle(name: str, proof: str) -> str:
    """A job's handle: what was made, and what proves that it was this job's."""
    return f"{name}@{proof}"


def parts(job: str) -> tuple[str, str]:
    """The name and the proof again."""
    name, _, proof = job.partition("@")
    return name, proof


class RemoveBucket(ExternalJob[str]):
    """Remove the bucket that carries the mark. One that has objects is a person's."""

    title = "Remove bucket {bucket}"
    operation = "bucket.remove"
    objects: ProviderRef
    bucket: str
    mark: str

    def prepare(self, ctx: Ctx) -> Any:
        there = ctx.connect(Buckets).bucket(self.bucket)
        if there is None:
            return Done(self.bucket, "it is gone already")
        if there["tags"].get("earmark") != self.mark:
            return Done(self.bucket, "the one of that name is not ours")
        if there["objects"]:
            raise Rejected(
                f"Bucket {self.bucket} has {there['objects']} objects by now, and is "
                f"left.",
                hint="Move or delete them, then retry.",
                code="not-empty",
            )
        return None

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Buckets).remove(self.bucket, token=ctx.token)
        return self.bucket

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [] if self._is_there(ctx) else [Found(self.bucket)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Running(message="still there") if self._is_there(ctx) else Done(job)

    def _is_there(self, ctx: Ctx) -> bool:
        there = ctx.connect(Buckets).bucket(self.bucket)
        return there is not None and there["tags"].get("earmark") == self.mark


class RemoveRecord(ExternalJob[str]):
    """Remove the record while it says what we wrote."""

    title = "Remove record {name}"
    operation = "record.remove"
    dns: ProviderRef
    name: str
    etag: str

    def prepare(self, ctx: Ctx) -> Any:
        if not self._is_there(ctx):
            return Done(self.name, "it is gone, or somebody has changed it since")
        return None

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Records).remove(self.name, self.etag, token=ctx.token)
        return self.name

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [] if self._is_there(ctx) else [Found(self.name)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Running(message="still there") if self._is_there(ctx) else Done(job)

    def _is_there(self, ctx: Ctx) -> bool:
        there = ctx.connect(Records).record(self.name)
        return there is not None and there["etag"] == self.etag


class CancelSubscription(ExternalJob[str]):
    """Cancel the subscription, unless it is over."""

    title = "Cancel subscription {subscription}"
    operation = "subscription.cancel"
    billing: ProviderRef
    subscription: str

    def prepare(self, ctx: Ctx) -> Any:
        if not self._runs(ctx):
            return Done(self.subscription, "it is over already")
        return None

    def send(self, ctx: Ctx) -> str:
        ctx.connect(Subscriptions).cancel(self.subscription, token=ctx.token)
        return self.subscription

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [] if self._runs(ctx) else [Found(self.subscription)]

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return Running(message="still running") if self._runs(ctx) else Done(job)

    def _runs(self, ctx: Ctx) -> bool:
        there = ctx.connect(Subscriptions).subscription(self.subscription)
        return there is not None and there["status"] in ("active", "incomplete")
