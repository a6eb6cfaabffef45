"""Tenants of a provider. The first seed's example of a wait."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from earmark.commands.stands import one
from earmark.commands.take_back import taken_back
from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Tenants
from earmark.domain.command import ExternalJob
from earmark.domain.errors import NameTaken
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.refs import ProviderRef

Trimmed = StringConstraints(strip_whitespace=True)


class CreateTenant(ExternalJob[str]):
    """Create a tenant; the result is its id at the provider."""

    title = "Create tenant {name} at {provider}"
    operation = "tenant.create"
    provider: ProviderRef
    name: Annotated[str, Trimmed, Field(min_length=1, max_length=100)]
    description: Annotated[str, Trimmed, Field(max_length=1000)] = ""

    def locks(self) -> Sequence[Lock]:
        return [exclusive("tenant-name", f"{self.provider}/{self.name}")]

    def check(self, tx: Tx) -> None:
        if tx.tenant_named(self.provider, self.name):
            raise NameTaken(
                f"{tx.provider(self.provider).name} has a tenant named {self.name!r} "
                "already.",
                hint="Choose another name.",
                fields={"name": "is taken"},
            )

    def send(self, ctx: Ctx) -> str:
        tenants = ctx.connect(Tenants)
        return tenants.create(self.name, self.description, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Tenants).find(ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one(ctx.connect(Tenants).jobs([job]), job)

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return taken_back(tx, self.provider, "tenant", f"tenant {self.name}")

    def finish(self, tx: Tx, result: str) -> None:
        tx.add_tenant(
            self.name,
            provider=self.provider,
            external_id=result,
            description=self.description,
        )
