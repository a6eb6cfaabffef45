"""What is at a provider with our mark and explained by nothing is listed within one
sweep, and nothing else is (rule 17, invariants 4 and 5)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from earmark.commands import (
    CreateImageTemplate,
    CreateTenant,
    RemoveImage,
    SweepProvider,
)
from earmark.domain.capabilities import Marked
from earmark.domain.command import Retry
from earmark.domain.deadline import Deadline
from earmark.domain.errors import Rejected
from earmark.domain.ids import first_id
from earmark.domain.orphan import OrphanState, SweepState
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Task
from earmark.engine import forget
from earmark.engine.enqueue import transact
from earmark.engine.house_tx import HouseTx
from earmark.providers.lab.marked import LabMarked
from earmark.store import placeholders, schema
from earmark.store.database import Transaction
from tests.crash.cases import LAB_ID
from tests.orphans.yard import Yard

NOW = timedelta(0)


def test_what_is_made_carries_installation_and_token(yard: Yard) -> None:
    task = yard.run(CreateTenant(provider="lab", name="blue"))
    (tenant,) = yard.things("tenant")
    assert tenant["mark"] == f"{yard.engine.installation}.{yard.effect(task).id}"
    assert tenant["token"] == yard.effect(task).id


def test_what_a_lying_provider_doubles_is_listed_within_one_sweep(yard: Yard) -> None:
    """Invariant 4."""
    task = yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    ids = {image["id"] for image in yard.things("image")}
    assert {orphan.external_id, task.result} == ids
    assert (orphan.kind, orphan.name, orphan.task_id) == ("image", "one", task.id)
    assert orphan.token == yard.effect(task).id
    assert "made more than one for the one request" in orphan.story


def test_nothing_is_an_orphan_before_its_horizon(yard: Yard) -> None:
    yard.double()
    yard.sweep()
    assert yard.orphans() == []
    assert yard.swept().young == 1


def test_past_the_horizon_good_work_leaves_nothing_unexplained(yard: Yard) -> None:
    """Invariant 5."""
    for name in ("blue", "green"):
        assert yard.run(CreateTenant(provider="lab", name=name)).outcome == "ok"
    assert yard.run(yard.copy()).outcome == "ok"
    yard.pass_time()
    task = yard.sweep()
    swept = yard.swept()
    assert (swept.seen, swept.young, swept.missing_count) == (3, 0, 0)
    assert yard.orphans() == []
    assert task.result == "3 with our mark, 0 orphans."


def test_the_provider_is_listed_first_and_the_rows_are_read_second(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for, made and settled while the provider lists is shown, and has
    its row by the time that it is judged."""
    listing = LabMarked.list_all

    def meanwhile(client: LabMarked) -> object:
        monkeypatch.setattr(LabMarked, "list_all", listing)
        made = yard.run(CreateTenant(provider="lab", name="blue"))
        assert made.outcome == "ok"
        yard.pass_time()
        return listing(client)

    monkeypatch.setattr(LabMarked, "list_all", meanwhile)
    yard.sweep()
    assert yard.orphans() == []
    assert (yard.swept().seen, yard.swept().young) == (1, 0), "its row was read after"


def test_what_lands_between_listing_and_reading_is_not_missing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A create in flight: listed before it landed, and settled before its row is
    read."""
    listing = LabMarked.list_all

    def then(client: LabMarked) -> object:
        shown = listing(client)
        monkeypatch.setattr(LabMarked, "list_all", listing)
        yard.run(CreateTenant(provider="lab", name="blue"))
        return shown

    monkeypatch.setattr(LabMarked, "list_all", then)
    yard.sweep()
    assert yard.orphans() == []
    assert yard.swept().missing_count == 0


def test_nothing_of_a_task_that_has_not_ended_is_an_orphan(yard: Yard) -> None:
    asked = yard.ask(CreateTenant(provider="lab", name="blue"))
    yard.begin()
    yard.pass_time()
    assert not yard.task(asked).done
    began = yard.engine.read(lambda tx: tx.now)
    client = yard.engine.session(LAB_ID).capability(Marked, Deadline(10))
    things = client.list_all()
    assert [thing.under_way for thing in things] == [False]
    transact(
        yard.engine, lambda tx: tx.apply_sweep(LAB_ID, things, client.makes, began)
    )
    assert yard.orphans() == []
    assert yard.swept().young == 1


def test_a_watched_request_that_lands_late_becomes_an_orphan(yard: Yard) -> None:
    task = yard.watched(late=True)
    yard.land_late()
    yard.sweep()
    assert yard.effect(task).state is PlaceholderState.ORPHAN
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    assert (orphan.kind, orphan.name, orphan.task_id) == ("tenant", "blue", task.id)
    assert "Somebody stopped waiting" in orphan.story
    told = yard.engine.read(
        lambda tx: placeholders.evidence_of(tx, yard.effect(task).id)
    )
    assert (told[-1].kind, told[-1].external_id) == ("sweep", orphan.external_id)


def test_a_watched_request_that_never_arrived_is_explained_past_its_horizon(
    yard: Yard,
) -> None:
    task = yard.watched(late=False)
    yard.sweep()
    assert yard.effect(task).state is PlaceholderState.WATCHED, "it may still arrive"
    yard.pass_time()
    yard.sweep()
    assert yard.effect(task).state is PlaceholderState.EXPLAINED
    assert yard.orphans() == []


def test_what_arrives_after_it_was_explained_is_still_told(yard: Yard) -> None:
    task = yard.watched(late=True)
    yard.pass_time()
    yard.sweep()
    assert yard.effect(task).state is PlaceholderState.EXPLAINED
    yard.land_late()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    assert "later than its provider promises" in orphan.story


def test_a_job_that_goes_on_is_neither_found_nor_absent(yard: Yard) -> None:
    task = yard.watched(late=True)
    yard.land_late()
    yard.site.execute("UPDATE tasks SET state = 'running', result = NULL, due_at = 9e9")
    yard.site.execute("DELETE FROM tenants")
    yard.pass_time()
    yard.sweep()
    assert yard.effect(task).state is PlaceholderState.WATCHED
    assert yard.orphans() == []


def test_another_installations_things_are_counted_and_never_touched(yard: Yard) -> None:
    old = first_id(yard.engine.read(lambda tx: tx.now) + timedelta(seconds=1))
    yard.tenant("theirs", old, installation="019a0000-another")
    yard.pass_time()
    yard.sweep()
    assert (yard.swept().seen, yard.swept().others) == (0, 1)
    assert yard.orphans(every=True) == []
    assert len(yard.things("tenant")) == 1


def test_a_token_that_no_row_knows_is_an_orphan_once_it_is_old_enough(
    yard: Yard,
) -> None:
    yard.run(CreateTenant(provider="lab", name="first"))
    unknown = first_id(yard.engine.read(lambda tx: tx.now))
    identity = yard.tenant("lost", unknown)
    yard.sweep()
    assert (yard.orphans(), yard.swept().young) == ([], 1)
    _keep_an_old_task(yard)
    unknown = first_id(yard.engine.read(lambda tx: tx.now) - timedelta(hours=1))
    yard.site.execute(
        "UPDATE tenants SET mark = ? WHERE id = ?",
        f"{yard.engine.installation}.{unknown}",
        identity,
    )
    yard.sweep()
    (orphan,) = yard.orphans()
    assert orphan.external_id == identity
    assert "No row of ours knows the request" in orphan.story
    assert orphan.task_id is None


def _keep_an_old_task(yard: Yard) -> None:
    """History goes back further than the tokens in the test."""
    long_ago = first_id(yard.engine.read(lambda tx: tx.now) - timedelta(days=1))

    def work(tx: Transaction) -> None:
        table = schema.tasks
        row = tx.execute(sa.select(table).limit(1)).one()
        values = dict(row._mapping) | {"id": long_ago, "root_id": long_ago}
        tx.execute(sa.insert(table).values(**values))

    yard.engine.write(work)


def test_what_is_older_than_our_history_is_pruned_and_no_orphan(yard: Yard) -> None:
    old = first_id(yard.engine.read(lambda tx: tx.now) - timedelta(days=400))
    yard.tenant("ancient", old)
    yard.sweep()
    assert (yard.orphans(), yard.swept().pruned) == ([], 1)


def test_the_tombstone_of_a_good_task_explains_what_it_made(yard: Yard) -> None:
    task = yard.run(CreateTenant(provider="lab", name="blue"))
    yard.sweep()
    yard.pass_time()
    forget.forget(yard.engine, task.id, "ada")
    # Only the tombstone keeps it: its token is not older than what is kept.
    _keep_an_old_task(yard)
    yard.sweep()
    assert (yard.orphans(), yard.swept().pruned, yard.swept().seen) == ([], 0, 1)


def test_the_tombstone_of_a_bad_task_does_not(yard: Yard) -> None:
    task = yard.run(CreateTenant(provider="lab", name="blue"))
    yard.sweep()
    yard.pass_time()
    forget.forget(yard.engine, task.id, "ada")
    _keep_an_old_task(yard)
    bad = sa.update(schema.tombstones).values(what="failed: Create tenant blue")
    yard.engine.write(lambda tx: tx.execute(bad))
    yard.sweep()
    (orphan,) = yard.orphans()
    assert "“Create tenant blue” ended as failed and was deleted" in orphan.story


class StubbornCopy(CreateImageTemplate):
    """A copy that is tried again after the provider's own failure."""

    retry = Retry(3, first=timedelta(0), on=frozenset({"task-failed"}))


def _one_try_failed(yard: Yard) -> Task:
    """A copy whose first try left half an image, and whose second went well."""
    yard.engine.commands.register(StubbornCopy)
    yard.fault("fail-task", "image.copy", times=1)
    fields = yard.copy().model_dump()
    task = yard.run(StubbornCopy(**fields))
    assert task.outcome == "ok", task.message
    assert len(yard.things("image")) == 2
    yard.pass_time()
    return task


def test_what_a_failed_try_left_is_told_though_the_next_went_well(yard: Yard) -> None:
    task = _one_try_failed(yard)
    yard.sweep()
    (orphan,) = yard.orphans()
    assert orphan.external_id != task.result
    assert "A try of “Copy disk one to bulk” failed, and left this" in orphan.story


def test_its_tombstone_does_not_explain_it_either(yard: Yard) -> None:
    """Each effect has a tombstone that says how it came out itself."""
    yard.run(CreateTenant(provider="lab", name="blue"))
    task = _one_try_failed(yard)
    forget.forget(yard.engine, task.id, "ada")
    _keep_an_old_task(yard)
    yard.sweep()
    (orphan,) = yard.orphans()
    assert orphan.external_id != task.result
    assert "“Copy disk one to bulk” ended as failed and was deleted" in orphan.story


def test_what_an_open_orphan_refers_to_is_not_deleted(yard: Yard) -> None:
    task = yard.double()
    yard.pass_time()
    yard.sweep()
    with pytest.raises(Rejected, match="the story of an orphan"):
        forget.forget(yard.engine, task.id, "ada")
    assert forget.prune(yard.engine, NOW, "ada").kept
    assert yard.task(task).done, "it is still there"


def test_what_is_shown_no_more_is_gone_by_itself_and_may_come_back(yard: Yard) -> None:
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    kept = "UPDATE images SET mark = ? WHERE id = ?"
    (row,) = [it for it in yard.things("image") if it["id"] == orphan.external_id]
    yard.site.execute(kept, None, orphan.external_id)
    yard.sweep()
    assert [it.state for it in yard.orphans(every=True)] == [OrphanState.GONE]
    yard.site.execute(kept, row["mark"], orphan.external_id)
    yard.sweep()
    (again,) = yard.orphans()
    assert again.id == orphan.id
    assert again.story.startswith("It was gone once")


def test_what_we_made_and_is_not_shown_is_missing_until_we_removed_it(
    yard: Yard,
) -> None:
    task = yard.run(yard.copy())
    yard.call("DELETE", f"/images/{task.result}")
    yard.sweep()
    assert yard.swept().missing_count == 0, "it may not be listed yet"
    yard.pass_time()
    yard.sweep()
    (missing,) = yard.swept().missing
    assert (missing.kind, missing.external_id) == ("image", task.result)
    assert (missing.task_id, missing.title) == (task.id, task.title)
    assert yard.task(task).outcome == "ok", "it is told, and nothing is changed"
    yard.run(RemoveImage(provider="lab", image=str(task.result)))
    yard.pass_time()
    yard.sweep()
    assert yard.swept().missing == ()


def test_an_older_listing_changes_nothing(yard: Yard) -> None:
    yard.sweep()
    before = yard.swept()

    assert before.began_at is not None
    began = before.began_at - timedelta(seconds=1)

    def older(tx: HouseTx) -> str:
        return tx.apply_sweep(LAB_ID, [], {}, began)

    assert "A newer sweep was first" in transact(yard.engine, older)
    assert yard.swept() == before


def test_a_sweep_that_fails_is_told_and_keeps_what_was_found(yard: Yard) -> None:
    yard.double()
    yard.pass_time()
    yard.sweep()
    yard.fault("error-500", "read", times=1)
    assert yard.run(SweepProvider(provider="lab")).outcome == "failed"
    swept = yard.swept()
    assert (swept.state, swept.seen) == (SweepState.ERROR, 2)
    assert "500" in swept.message
    assert len(yard.orphans()) == 1
