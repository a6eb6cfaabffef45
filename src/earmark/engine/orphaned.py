"""Orphaned: what a person decides about an orphan, and the proof before one goes.

"Undo deletes nothing without proof" (rule 3) holds here too: the thing is looked at
again, must carry our installation's mark with that very token, and must still be
explained by nothing.
"""

from earmark.domain.errors import Rejected
from earmark.domain.mark import Mark, MarkedThing
from earmark.domain.orphan import Orphan, OrphanState
from earmark.engine.account import Verdict, account
from earmark.engine.runtime import Engine
from earmark.engine.sweep import horizon_of, known_of
from earmark.store import images, inventory, journal, orphans
from earmark.store.database import Transaction


def refuse_unless_open(orphan: Orphan) -> None:
    """Raise `Rejected` for one that was decided about, or that is gone."""
    who = orphan.decided_by or "somebody"
    words = {
        OrphanState.ADOPTED: f"{who} adopted it already: {orphan.why}",
        OrphanState.DESTROYED: f"{who} had it destroyed already.",
        OrphanState.GONE: "The provider does not show it any more.",
    }
    if not orphan.open:
        raise Rejected(
            f"{orphan.name or orphan.external_id} is no open orphan. "
            f"{words[orphan.state]}",
            hint="See `earmark orphans ls --all`.",
            code=f"orphan-{orphan.state}",
        )


def prove(engine: Engine, tx: Transaction, orphan_id: str, seen: MarkedThing) -> None:
    """Raise `Rejected` unless the thing, as the provider shows it now, is that orphan,
    is ours, and is explained by nothing."""
    orphan = orphans.find(tx, orphan_id)
    refuse_unless_open(orphan)
    if seen.mark != Mark(engine.installation, orphan.token):
        raise Rejected(
            f"{orphan.external_id} does not carry our mark with token {orphan.token}: "
            f"it shows {seen.mark}.",
            hint="It is not ours to destroy. Use the provider's own tools.",
            code="not-ours",
        )
    provider = inventory.provider(tx, orphan.provider_id)
    operations = engine.connector(provider.kind).operations
    # The sweep has judged it among all that carry this token. Alone, it is explained
    # only by a result that names it, or where there is none to compare with.
    known = known_of(tx, {orphan.token}, dict.fromkeys(operations, ""))
    about = known[orphan.token]
    after = horizon_of(about.claim, operations)
    (found,) = account([seen], about, tx.now, after)
    # What was judged an orphan while its history was kept still is one without it.
    if found.verdict is Verdict.YOUNG:
        raise Rejected(
            f"{orphan.external_id} cannot be judged now: its task goes on, "
            "or has just ended.",
            hint=f"Wait {after}, and ask again.",
            code="too-young",
        )
    refuse_used(tx, orphan.provider_id, orphan.external_id, "Adopt it")
    if found.verdict not in (Verdict.ORPHAN, Verdict.PRUNED):
        raise Rejected(
            f"{orphan.external_id} is explained by now: it is no orphan.",
            hint=f"Sweep again: `earmark providers sweep {provider.name}`.",
            code="explained",
        )


def refuse_used(tx: Transaction, provider_id: str, thing: str, instead: str) -> None:
    """Raise `Rejected`, with what to do `instead`, when a VM has a disk on what is to
    be destroyed."""
    user = images.user_of(tx, provider_id, thing)
    if user is not None:
        raise Rejected(
            f"{thing} is a disk of {inventory.vm(tx, user).name} by now.",
            hint=f"{instead}; or put the disk on another image.",
            code="in-use",
        )


def adopt(tx: Transaction, orphan_id: str, who: str, why: str) -> None:
    """A named person says that it is wanted. Raises `Rejected` when it is not open."""
    orphan = orphans.lock_one(tx, orphan_id)
    refuse_unless_open(orphan)
    _decide(tx, orphan, OrphanState.ADOPTED, who, why)


def destroyed(tx: Transaction, orphan_id: str, who: str) -> None:
    """The provider has it no more, by a command of ours. May be said again."""
    orphan = orphans.lock_one(tx, orphan_id)
    if orphan.state is not OrphanState.DESTROYED:
        _decide(tx, orphan, OrphanState.DESTROYED, who, None)


def _decide(
    tx: Transaction, orphan: Orphan, state: OrphanState, who: str, why: str | None
) -> None:
    orphans.change(
        tx, orphan.id, state=state, decided_by=who, why=why, decided_at=tx.now
    )
    facts = {"kind": orphan.kind, "external_id": orphan.external_id, "why": why}
    journal.note(tx, who, f"orphan-{state}", orphan.task_id, orphan=orphan.id, **facts)
