"""Refresh: make the inventory of a provider what it shows now."""

from earmark.domain.authoring import Ctx
from earmark.domain.capabilities import Credentials, InventorySource
from earmark.domain.command import Action
from earmark.domain.errors import ProviderError, Unsupported
from earmark.domain.inventory import Listing
from earmark.domain.outcome import Done
from earmark.domain.refs import ProviderRef
from earmark.engine.house_tx import house_tx


class RefreshProvider(Action[str]):
    """Fetch a provider's whole listing and apply it; the result is a summary.

    A kind that lists nothing is asked whether it still lets us in. Of one that has no
    `Credentials` either, nobody knows how it is.
    """

    title = "Refresh {provider}"
    provider: ProviderRef

    def run(self, ctx: Ctx) -> Done[str]:
        began = ctx.now()
        try:
            listing = _listed(ctx)
        except Unsupported:
            said = "Its kind has nothing that could be asked."
            self._found(ctx, "unknown", said)
            return Done("", said)
        except Exception as error:
            said = " ".join(str(error).split()) or type(error).__name__
            self._found(ctx, "error", said)
            raise
        there = listing or Listing()
        summary = ctx.save(
            lambda tx: house_tx(tx).apply_listing(self.provider, there, began)
        )
        self._found(ctx, "ok", "")
        if listing is None:
            return Done(summary, "It answers; its kind lists nothing.")
        return Done(summary, f"{len(listing.vms)} VMs: {summary}")

    def _found(self, ctx: Ctx, health: str, said: str) -> None:
        ctx.save(lambda tx: house_tx(tx).provider_health(self.provider, health, said))


def _listed(ctx: Ctx) -> Listing | None:
    """The provider's listing; None for a kind that has none, and answers. Raises
    `Unsupported` for one that cannot be asked even that."""
    try:
        return ctx.connect(InventorySource).list_all()
    except Unsupported:
        found = ctx.connect(Credentials).verify()
        if not found.ok:
            raise ProviderError(found.detail) from None
        return None
