"""What a sweep says in a copied database, used beside the original, is true of the
original's things and of its own (rule 17)."""

import sqlalchemy as sa

from earmark.commands import CreateTenant
from earmark.domain.orphan import OrphanState, SweepState
from earmark.store import copied
from earmark.store.schema import placeholders
from tests.orphans.yard import Yard


def disown(yard: Yard) -> copied.Disowned:
    """As `earmark db copied` does, and what is started after it."""
    engine = yard.engine
    done = engine.write(lambda tx: copied.disown(tx, engine.database.file, "ada"))
    engine.installation = done.now
    engine._sessions.clear()
    return done


def test_the_originals_things_are_neither_orphans_nor_missing(yard: Yard) -> None:
    blue = yard.run(CreateTenant(provider="lab", name="blue"))
    yard.double()
    # As of a command whose result is not the id of what it made.
    effect = sa.update(placeholders).where(placeholders.c.id == yard.effect(blue).id)
    yard.engine.write(lambda tx: tx.execute(effect.values(result={"name": "blue"})))
    yard.pass_time()
    yard.sweep()
    (before,) = yard.orphans()
    was = disown(yard).was
    assert yard.swept().state is SweepState.NEVER, "that one was the original's"
    assert yard.orphans() == []
    (told,) = yard.orphans(every=True)
    assert told.state is OrphanState.GONE
    assert f"the mark of installation {was}" in told.story
    assert told.story.endswith(before.story)
    yard.pass_time()
    yard.sweep()
    swept = yard.swept()
    assert (swept.seen, swept.others, swept.missing_count) == (0, 3, 0)
    assert yard.orphans() == []


def test_what_the_original_watches_for_is_not_explained_here(yard: Yard) -> None:
    task = yard.watched(late=True)
    disown(yard)
    yard.pass_time(40)
    yard.sweep()
    assert yard.effect(task).state == "elsewhere"
    yard.land_late()
    yard.sweep()
    assert yard.orphans() == []
    assert yard.effect(task).state == "elsewhere"


def test_what_the_copy_makes_is_its_own(yard: Yard) -> None:
    now = disown(yard).now
    task = yard.run(CreateTenant(provider="lab", name="green"))
    (tenant,) = yard.things("tenant")
    assert tenant["mark"] == f"{now}.{yard.effect(task).id}"
    yard.pass_time()
    yard.sweep()
    assert (yard.swept().seen, yard.swept().others) == (1, 0)
