"""Orphans: a provider swept for them, and what a person decides about one: it is wanted
after all, or it is destroyed."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from earmark.commands.stands import one_in_time
from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Marked
from earmark.domain.command import Action, ExternalJob
from earmark.domain.errors import Refused, Rejected, Unsupported
from earmark.domain.lock import Lock, exclusive
from earmark.domain.orphan import SweepState
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.refs import OrphanRef, ProviderRef
from earmark.engine.house_tx import house_tx

Trimmed = StringConstraints(strip_whitespace=True)


class SweepProvider(Action[str]):
    """List everything at a provider that carries an Earmark's mark, and hold it against
    our rows; the result is a summary. It changes nothing at the provider."""

    title = "Sweep {provider} for orphans"
    provider: ProviderRef

    def run(self, ctx: Ctx) -> Done[str]:
        # The provider first and the rows second: what is being made meanwhile then has
        # its row before the thing is judged (rule 17).
        began = ctx.now()
        try:
            client = ctx.connect(Marked)
            things = client.list_all()
        except Unsupported as no:
            words = str(no)
            self._note(ctx, SweepState.UNSUPPORTED, words)
            return Done(words, words)
        except Exception as error:
            said = " ".join(str(error).split()) or type(error).__name__
            self._note(ctx, SweepState.ERROR, said)
            raise
        makes = client.makes
        said = ctx.save(
            lambda tx: house_tx(tx).apply_sweep(self.provider, things, makes, began)
        )
        return Done(said, said)

    def _note(self, ctx: Ctx, state: SweepState, words: str) -> None:
        ctx.save(lambda tx: house_tx(tx).sweep_failed(self.provider, state, words))


class AdoptOrphan(Action[str]):
    """Say that an orphan is wanted: it is told no more. Who said so, and why, stays
    with it and in the audit. Nothing changes at the provider; the result is its id."""

    title = "Adopt orphan {orphan}"
    orphan: OrphanRef
    why: Annotated[str, Trimmed, Field(min_length=1, max_length=1000)]

    def locks(self) -> Sequence[Lock]:
        return [exclusive("orphan", self.orphan)]

    def check(self, tx: Tx) -> None:
        house_tx(tx).open_orphan(self.orphan)

    def run(self, ctx: Ctx) -> Done[str]:
        return Done(self.orphan, f"It is wanted: {self.why}")

    def finish(self, tx: Tx, result: str) -> None:
        house_tx(tx).orphan_adopted(self.orphan, self.why)


class DestroyOrphan(ExternalJob[str]):
    """Destroy an orphan at its provider; the result is its id there. Refused unless the
    provider, asked again right before, shows our mark with the orphan's token, and no
    row of ours explains it by now."""

    title = "Destroy orphan {orphan}"
    operation = "marked.destroy"
    orphan: OrphanRef

    def locks(self) -> Sequence[Lock]:
        return [exclusive("orphan", self.orphan)]

    def check(self, tx: Tx) -> None:
        house_tx(tx).open_orphan(self.orphan)

    def prepare(self, ctx: Ctx) -> Any:
        client = ctx.connect(Marked)
        orphan = ctx.save(lambda tx: house_tx(tx).open_orphan(self.orphan))
        if orphan.kind not in client.destroys:
            raise Unsupported(
                f"This provider cannot destroy a thing of kind {orphan.kind}.",
                hint="Remove it with the provider's own tools; the next sweep sees it.",
            )
        request = {"kind": orphan.kind, "id": orphan.external_id}
        if not self._proved(ctx, request):
            return Done(orphan.external_id, message="already gone")
        return request

    def _proved(self, ctx: Ctx, request: Any) -> bool:
        """Look at it again: False when it is gone; raises `Rejected` when it is not, or
        no longer, an orphan of ours."""
        seen = ctx.connect(Marked).look(**request)
        if seen is None:
            return False
        ctx.save(lambda tx: house_tx(tx).prove_orphan(self.orphan, seen))
        return True

    def send(self, ctx: Ctx) -> str:
        try:
            self._proved(ctx, ctx.request)
        except Rejected as no:
            raise Refused(str(no), hint=no.hint, code=no.code) from no
        return ctx.connect(Marked).destroy(**ctx.request, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Marked).find(**ctx.request, token=ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one_in_time(ctx, ctx.connect(Marked).jobs([job]), job)

    def finish(self, tx: Tx, result: str) -> None:
        house_tx(tx).orphan_destroyed(self.orphan)
