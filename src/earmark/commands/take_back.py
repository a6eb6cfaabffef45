"""Take back: the step of an undo that destroys what another command of ours made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from earmark.commands.stands import one_in_time
from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Marked
from earmark.domain.command import ExternalJob
from earmark.domain.errors import Refused, Rejected
from earmark.domain.lock import Lock, exclusive
from earmark.domain.mark import Mark, MarkedThing
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.refs import ProviderRef
from earmark.engine.house_tx import house_tx


def taken_back(tx: Tx, provider: str, kind: str, what: str) -> "TakeBack":
    """For an `undo`: what takes back the effect that is `tx.undone`."""
    made = tx.undone
    return TakeBack(
        provider=provider,
        kind=kind,
        made_with=made.token,
        what=what,
        thing=made.result or "",
        listed_at=made.listed_at,
    )


class TakeBack(ExternalJob[str]):
    """Destroy what was made with a token of ours, also if it is only half there; the
    result is its id at the provider. Ends ok with "nothing of it is there".

    Nothing is destroyed without proof (rule 3): the provider, asked right before, shows
    our mark with that very token.
    """

    title = "Take back {what}"
    operation = "marked.destroy"
    provider: ProviderRef
    #: The connector's word for the kind of thing, such as `image`.
    kind: str
    #: The token that it was asked for with.
    made_with: str
    #: What it is, in words.
    what: str
    #: Its id, if the job that made it came to tell; else the provider is searched.
    thing: str = ""
    #: From when on the provider's lists show it, if it is there.
    listed_at: datetime | None = None

    def locks(self) -> Sequence[Lock]:
        return [exclusive(self.kind, self.thing or self.made_with)]

    def check(self, tx: Tx) -> None:
        if not house_tx(tx).is_undo:
            raise Rejected(
                "Only the undo of a task takes something back: what a good task made "
                "is wanted.",
                hint="Remove it with its own command, or destroy an orphan.",
            )
        if self.thing:
            house_tx(tx).refuse_used(self.provider, self.thing)

    def prepare(self, ctx: Ctx) -> Any:
        seen = self._look(ctx)
        if seen is None:
            return Done(self.thing, message="nothing of it is there")
        self._prove(ctx, seen)
        return {"kind": seen.kind, "id": seen.id}

    def _prove(self, ctx: Ctx, seen: MarkedThing) -> None:
        ctx.save(lambda tx: house_tx(tx).refuse_used(self.provider, seen.id))
        ours = Mark.of(ctx.mark)
        if ours is None or seen.mark != Mark(ours.installation, self.made_with):
            raise Rejected(
                f"The provider shows {seen.kind} {seen.id} with the mark {seen.mark}, "
                f"not with that of what is to be taken back.",
                hint="See what it is there; leave it behind if it is none of ours.",
            )

    def _look(self, ctx: Ctx) -> MarkedThing | None:
        client = ctx.connect(Marked)
        if self.thing:
            return client.look(self.kind, self.thing)
        for thing in client.list_all():
            if (thing.kind, thing.mark.token) == (self.kind, self.made_with):
                if thing.under_way:
                    raise Rejected(f"The provider is still making {thing.id}.")
                return thing
        if self.listed_at is not None and ctx.now() < self.listed_at:
            raise Rejected("The provider's lists may not show it yet.")
        return None

    def send(self, ctx: Ctx) -> str:
        client = ctx.connect(Marked)
        seen = client.look(**ctx.request)
        if seen is not None:
            try:
                self._prove(ctx, seen)
            except Rejected as no:
                raise Refused(str(no), hint=no.hint, code=no.code) from no
        return client.destroy(**ctx.request, token=ctx.token)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(Marked).find(**ctx.request, token=ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        return one_in_time(ctx, ctx.connect(Marked).jobs([job]), job)

    def finish(self, tx: Tx, result: str) -> None:
        if result:
            house_tx(tx).taken_away(self.provider, self.kind, result)
