"""A person adopts an orphan or has it destroyed; nothing is destroyed without proof
(rule 3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.commands import AdoptOrphan, CreateTenant, DestroyOrphan, TakeBack
from earmark.domain.authoring import Tx
from earmark.domain.errors import Rejected
from earmark.domain.orphan import Orphan, OrphanState
from earmark.engine.boundary import watched
from earmark.providers.lab.marked import LabMarked
from earmark.store import schema
from tests.orphans.yard import Yard


def an_orphan(yard: Yard) -> Orphan:
    """One that a lying provider doubled."""
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    return orphan


def deletions(yard: Yard) -> list[Any]:
    return yard.site.rows("SELECT * FROM effects WHERE verb LIKE '%.delete'")


def asked_to_delete(yard: Yard) -> list[Any]:
    return yard.site.rows("SELECT * FROM requests WHERE method = 'DELETE'")


def test_an_adopted_one_is_told_no_more_and_names_who_wanted_it(yard: Yard) -> None:
    orphan = an_orphan(yard)
    task = yard.run(AdoptOrphan(orphan=orphan.id, why="  the tests use it "))
    assert (task.outcome, task.title) == ("ok", "Adopt orphan one")
    yard.pass_time()
    yard.sweep()
    assert yard.orphans() == []
    (adopted,) = yard.orphans(every=True)
    assert (adopted.state, adopted.why) == (OrphanState.ADOPTED, "the tests use it")
    assert adopted.decided_by == task.owner
    audit = schema.audit
    query = sa.select(audit).where(audit.c.action == "orphan-adopted")
    row = yard.engine.read(lambda tx: tx.execute(query).one())
    assert row.data["external_id"] == orphan.external_id
    assert (row.actor, row.data["why"]) == (task.owner, "the tests use it")
    assert deletions(yard) == []


def test_it_is_adopted_once(yard: Yard) -> None:
    orphan = an_orphan(yard)
    both = [yard.ask(AdoptOrphan(orphan=orphan.id, why=why)) for why in ("a", "b")]
    yard.work()
    ends = sorted(str(yard.task(task).outcome) for task in both)
    assert ends == ["failed", "ok"]
    with pytest.raises(Rejected, match="adopted it already"):
        yard.ask(AdoptOrphan(orphan=orphan.id, why="c"))
    with pytest.raises(Rejected, match="adopted it already"):
        yard.ask(DestroyOrphan(orphan=orphan.id))
    assert len(yard.things("image")) == 2


def test_a_destroyed_one_is_gone_and_the_other_stays(yard: Yard) -> None:
    orphan = an_orphan(yard)
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert (task.outcome, task.result) == ("ok", orphan.external_id)
    (stays,) = yard.things("image")
    assert stays["id"] != orphan.external_id
    (row,) = yard.orphans(every=True)
    assert (row.state, row.decided_by) == (OrphanState.DESTROYED, task.owner)
    yard.pass_time()
    yard.sweep()
    assert yard.orphans() == []
    assert yard.swept().missing_count == 0
    with pytest.raises(Rejected, match="had it destroyed already"):
        yard.ask(DestroyOrphan(orphan=orphan.id))


@pytest.mark.parametrize("mark", ["019a0000-another.{token}", "{ours}.another", None])
def test_nothing_is_destroyed_that_does_not_carry_our_mark(
    yard: Yard, mark: str | None
) -> None:
    orphan = an_orphan(yard)
    parts = {"ours": yard.engine.installation, "token": orphan.token}
    text = mark.format(**parts) if mark else None
    change = "UPDATE images SET mark = ? WHERE id = ?"
    yard.site.execute(change, text, orphan.external_id)
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert asked_to_delete(yard) == []
    assert (task.outcome, task.error and task.error["code"]) == ("failed", "not-ours")
    assert [it.state for it in yard.orphans()] == [OrphanState.OPEN]


def test_nothing_is_destroyed_that_a_row_explains_by_now(yard: Yard) -> None:
    orphan = an_orphan(yard)
    effects = schema.placeholders
    explains = sa.update(effects).where(effects.c.id == orphan.token)
    explains = explains.values(result=orphan.external_id)
    yard.engine.write(lambda tx: tx.execute(explains))
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert (task.outcome, task.error and task.error["code"]) == ("failed", "explained")
    assert asked_to_delete(yard) == []


class ByHand(TakeBack):
    """As a step of an undo, which nobody else can ask for."""

    def check(self, tx: Tx) -> None:
        pass


@pytest.fixture
def yard(yard: Yard) -> Yard:
    yard.engine.commands.register(ByHand)
    return yard


def test_only_an_undo_takes_back(yard: Yard) -> None:
    """What a good task made is wanted, and a task that failed does it by itself."""
    made = yard.run(CreateTenant(provider="lab", name="blue"))
    token = yard.effect(made).id
    with pytest.raises(Rejected, match="Only the undo of a task"):
        yard.ask(
            TakeBack(provider="lab", kind="tenant", made_with=token, what="tenant blue")
        )
    assert len(yard.things("tenant")) == 1


def test_nothing_is_taken_back_that_does_not_carry_its_mark(yard: Yard) -> None:
    """The same proof before a step of an undo: of ours, but made with another token."""
    made = yard.run(CreateTenant(provider="lab", name="blue"))
    task = yard.run(
        ByHand(
            provider="lab",
            kind="tenant",
            made_with=made.id,
            what="tenant blue",
            thing=str(made.result),
        )
    )
    assert task.outcome == "failed"
    assert "not with that of what is to be taken back" in task.message
    assert deletions(yard) == asked_to_delete(yard) == []


def test_it_is_proved_again_right_before_each_send(yard: Yard) -> None:
    """The proof of `prepare` may be old by the time of a send."""
    orphan = an_orphan(yard)

    def theirs_now(boundary: str) -> None:
        if boundary == "send.committed":
            change = "UPDATE images SET mark = 'theirs.now' WHERE mark IS NOT NULL"
            yard.site.execute(change)

    with watched(theirs_now):
        task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert (task.outcome, asked_to_delete(yard)) == ("failed", [])
    assert "does not carry our mark" in task.message


def test_what_is_taken_back_is_proved_again_too(yard: Yard) -> None:
    made = yard.run(CreateTenant(provider="lab", name="blue"))
    token = yard.site.rows("SELECT token FROM tenants WHERE id = ?", made.result)

    def theirs_now(boundary: str) -> None:
        if boundary == "send.committed":
            yard.site.execute("UPDATE tenants SET mark = 'theirs.now'")

    back = ByHand(
        provider="lab",
        kind="tenant",
        made_with=token[0]["token"],
        what="tenant blue",
        thing=str(made.result),
    )
    with watched(theirs_now):
        task = yard.run(back)
    assert (task.outcome, asked_to_delete(yard)) == ("failed", [])


def test_absence_is_believed_only_once_it_would_be_listed(yard: Yard) -> None:
    made = yard.run(CreateTenant(provider="lab", name="blue"))
    back = ByHand(
        provider="lab",
        kind="tenant",
        made_with=made.id,
        what="tenant blue",
        listed_at=datetime.now(UTC) + timedelta(days=3650),
    )
    task = yard.run(back)
    assert (task.outcome, asked_to_delete(yard)) == ("failed", [])
    assert "may not show it yet" in task.message


def test_what_went_while_it_was_adopted_is_not_adopted(yard: Yard) -> None:
    orphan = an_orphan(yard)

    def gone_now(boundary: str) -> None:
        if boundary == "act.answered":
            change = sa.update(schema.orphans).values(state=OrphanState.GONE)
            yard.engine.write(lambda tx: tx.execute(change))

    with watched(gone_now):
        task = yard.run(AdoptOrphan(orphan=orphan.id, why="a"))
    assert task.outcome == "failed"
    assert "does not show it any more" in task.message
    assert [it.state for it in yard.orphans(every=True)] == [OrphanState.GONE]


def test_what_is_gone_already_is_as_was_asked(yard: Yard) -> None:
    orphan = an_orphan(yard)
    yard.call("DELETE", f"/images/{orphan.external_id}")
    yard.call("GET", "/images")
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert (task.outcome, task.message) == ("ok", "already gone")
    assert [it.state for it in yard.orphans(every=True)] == [OrphanState.DESTROYED]
    assert len(asked_to_delete(yard)) == 1, "only theirs"


def test_what_was_watched_for_can_be_destroyed_once_it_is_found(yard: Yard) -> None:
    orphan = found_at_last(yard)
    task = yard.run(DestroyOrphan(orphan=orphan.id))
    assert task.outcome == "ok", task.message
    assert yard.site.rows("SELECT * FROM tenants") == []


def test_what_the_provider_cannot_destroy_is_said_and_not_sent(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LabMarked, "destroys", frozenset({"image"}))
    task = yard.run(DestroyOrphan(orphan=found_at_last(yard).id))
    assert task.outcome == "failed"
    assert "cannot destroy a thing of kind tenant" in task.message
    assert asked_to_delete(yard) == []


def found_at_last(yard: Yard) -> Orphan:
    """A tenant that somebody stopped waiting for, and that arrived after all."""
    yard.watched(late=True)
    yard.land_late()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    return orphan


def test_what_is_shown_after_it_was_destroyed_is_told_again(yard: Yard) -> None:
    orphan = an_orphan(yard)
    row = yard.site.row("SELECT * FROM images WHERE id = ?", orphan.external_id)
    assert row is not None
    yard.run(DestroyOrphan(orphan=orphan.id))
    back = "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    yard.site.execute(back, *tuple(row))
    yard.sweep()
    assert yard.orphans() == [], "a listing may lag behind"
    yard.pass_time()
    yard.sweep()
    (again,) = yard.orphans()
    assert again.story.startswith("It was destroyed, and is shown still.")


def test_a_good_thing_of_ours_is_no_orphan_to_decide_about(yard: Yard) -> None:
    task = yard.run(CreateTenant(provider="lab", name="blue"))
    with pytest.raises(Exception, match="There is no orphan"):
        yard.ask(DestroyOrphan(orphan=str(task.result)))
