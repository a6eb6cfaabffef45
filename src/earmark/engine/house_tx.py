"""The `tx` of the built-in commands: what every author gets, and what only the house
does with its own rows. `enqueue.open_tx` makes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from earmark.domain.authoring import Tx
from earmark.domain.console import Console
from earmark.domain.inventory import Listing
from earmark.domain.mark import MarkedThing
from earmark.domain.orphan import Orphan, SweepState
from earmark.domain.task import LOCAL_OWNER
from earmark.engine import orphaned
from earmark.engine import sweep as sweeping
from earmark.engine.tx import EngineTx
from earmark.inventory import listed
from earmark.inventory import observe as observing
from earmark.store import consoles, inventory, orphans


class HouseTx(EngineTx):
    """One transaction, with all that can be done in it."""

    def apply_listing(self, provider: str, listing: Listing, began: datetime) -> str:
        """Write a whole listing by a fetch that began then; returns the summary in
        words."""
        owner = self.provider(provider)
        operations = self.engine.connector(owner.kind).operations.values()
        lag = max((o.visibility_lag for o in operations), default=timedelta(0))
        changes = observing.apply_listing(self.store, owner.id, listing, began, lag)
        inventory.change_provider(self.store, owner.id, refreshed_at=self.now)
        return str(changes)

    def provider_health(self, provider: str, health: str, message: str) -> None:
        """Note how the provider answers (`ok`, `error`) and in which words."""
        inventory.change_provider(
            self.store, provider, health=health, health_message=message
        )

    def open_orphan(self, orphan: str) -> Orphan:
        """An orphan by id. Raises `UnknownName`, and `Rejected` when it is adopted,
        destroyed or gone."""
        found = orphans.find(self.store, orphan)
        orphaned.refuse_unless_open(found)
        return found

    def prove_orphan(self, orphan: str, seen: MarkedThing) -> None:
        """Raise `Rejected` unless what the provider shows now is that very orphan,
        carries our mark with its token, and is explained by nothing (rule 3)."""
        orphaned.prove(self.engine, self.store, orphan, seen)

    def orphan_adopted(self, orphan: str, why: str) -> None:
        """Write that the task's owner wants it. Raises `Rejected` as `open_orphan`."""
        orphaned.adopt(self.store, orphan, self._who, why)

    def orphan_destroyed(self, orphan: str) -> None:
        """Write that a command of ours has removed it."""
        orphaned.destroyed(self.store, orphan, self._who)

    @property
    def is_undo(self) -> bool:
        """True while a step of an undo is planned or settled."""
        return self.task is not None and self.task.undoes_id is not None

    def refuse_used(self, provider: str, thing: str) -> None:
        """Raise `Rejected` when a VM is by now on what is to be taken back."""
        owner = self.provider(provider).id
        orphaned.refuse_used(self.store, owner, thing, "Leave it behind")

    def taken_away(self, provider: str, kind: str, external_id: str) -> None:
        """Write that a command of ours has removed what may be a row of ours."""
        owner = self.provider(provider).id
        listed.taken_away(self.store, owner, kind, external_id)

    @property
    def _who(self) -> str:
        return self.task.owner if self.task else LOCAL_OWNER

    def apply_sweep(
        self,
        provider: str,
        things: Sequence[MarkedThing],
        makes: Mapping[str, str],
        began: datetime,
    ) -> str:
        """Hold a listing of what carries marks, which began then, against our rows:
        what nothing explains becomes an orphan. Returns the summary in words."""
        shown = sweeping.Shown(provider, things, began, makes)
        return sweeping.sweep(self.engine, self.store, shown)

    def sweep_failed(self, provider: str, state: SweepState, message: str) -> None:
        """Note that a sweep of the provider did not come about, and why."""
        sweeping.could_not(self.store, provider, state, message)

    def console(self, console: str) -> Console:
        """A console by id; raises `UnknownName`."""
        return consoles.get(self.store, console)


def house_tx(tx: Tx) -> HouseTx:
    """All that can be done in a transaction whose author's half a method was given."""
    assert isinstance(tx, HouseTx)
    return tx
