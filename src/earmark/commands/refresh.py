"""Refresh: make the inventory of a provider what it shows now."""

from earmark.domain.authoring import Ctx
from earmark.domain.capabilities import InventorySource
from earmark.domain.command import Action
from earmark.domain.outcome import Done
from earmark.domain.refs import ProviderRef


class RefreshProvider(Action[str]):
    """Fetch a provider's whole listing and apply it; the result is a summary."""

    title = "Refresh {provider}"
    provider: ProviderRef

    def run(self, ctx: Ctx) -> Done[str]:
        began = ctx.now()
        try:
            listing = ctx.connect(InventorySource).list_all()
        except Exception as error:
            said = " ".join(str(error).split()) or type(error).__name__
            ctx.save(lambda tx: tx.provider_health(self.provider, "error", said))
            raise
        summary = ctx.save(lambda tx: tx.apply_listing(self.provider, listing, began))
        ctx.save(lambda tx: tx.provider_health(self.provider, "ok", ""))
        return Done(summary, f"{len(listing.vms)} VMs: {summary}")
