"""Ended tasks are deleted whole, and never what somebody may still need (rule 17)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from earmark.domain.errors import EarmarkError, Refused, Rejected, UnknownName
from earmark.domain.task import Task
from earmark.engine import forget, many, recover, retry
from earmark.engine.enqueue import forget_old_keys
from earmark.engine.many import Deed
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.store import journal, notifications, schema, tasks
from earmark.store.database import Transaction
from tests.engine.world import Make, MakeAll, MakeBlindly, Stage

TABLES = ("tasks", "task_log", "placeholders", "sends", "evidence", "task_needs")
NOW = timedelta(0)


def counts(stage: Stage) -> dict[str, int]:
    def work(tx: object) -> dict[str, int]:
        count = sa.func.count()
        return {
            name: tx.execute(  # type: ignore[attr-defined]
                sa.select(count).select_from(getattr(schema, name))
            ).scalar_one()
            for name in TABLES
        }

    return stage.engine.read(work)


def failed(stage: Stage) -> Task:
    def refuse(what: str, ctx: object) -> str:
        raise Refused("Not today.")

    stage.world.on_send = refuse
    task = stage.run(Make(provider="p-1", what="bell"))
    stage.world.on_send = None
    assert task.outcome == "failed"
    return task


def watched(stage: Stage) -> Task:
    def lose(what: str, ctx: object) -> str:
        raise EarmarkError("The connection broke.")

    stage.world.on_send = lose
    task = stage.run(MakeBlindly(provider="p-1", what="bell"))
    stage.world.on_send = None
    resolve(stage.engine, task.id, Decision.WATCH, "me")
    stage.work()
    task = stage.task(task)
    assert task.done
    return task


def refusal(stage: Stage, task: Task) -> str:
    with pytest.raises(Rejected) as refused:
        forget.forget(stage.engine, task.id, "me")
    assert stage.task(task) == task, "nothing of it is gone"
    return str(refused.value)


def test_the_whole_family_goes_and_leaves_a_tombstone_of_each_effect(
    stage: Stage,
) -> None:
    before = counts(stage)
    root = stage.run(MakeAll(provider="p-1", whats=("bell", "book")))
    assert root.outcome == "ok"
    tokens = {effect.id for effect in stage.effects()}
    forget.forget(stage.engine, root.id, "me")
    assert counts(stage) == before
    left = stage.engine.read(lambda tx: tx.execute(sa.select(schema.tombstones)).all())
    assert {row.token for row in left} == {root.id, *tokens}
    assert {row.provider_id for row in left if row.token in tokens} == {"p-1"}
    assert all(row.what.startswith("ok: Make ") for row in left)
    with pytest.raises(UnknownName, match=r"was deleted. It ended at .* ok: Make"):
        stage.engine.read(lambda tx: tasks.get(tx, root.id))
    noted = stage.engine.read(
        lambda tx: tx.execute(
            sa.select(schema.audit.c.actor).where(
                schema.audit.c.task_id == root.id, schema.audit.c.action == "delete"
            )
        ).scalars()
    )
    assert list(noted) == ["me"]


def test_what_has_not_ended_is_kept(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="bell"))
    assert "not ended" in refusal(stage, task)


def test_a_part_is_kept(stage: Stage) -> None:
    stage.run(MakeAll(provider="p-1", whats=("bell",)))
    part = next(it for it in stage.tasks() if not it.is_root)
    assert "a part" in refusal(stage, part)


def test_what_is_watched_for_is_kept(stage: Stage) -> None:
    task = watched(stage)
    assert "watched for" in refusal(stage, task)


def test_what_left_something_behind_is_kept(stage: Stage) -> None:
    task = failed(stage)
    error = {"code": "x", "message": "x", "left_behind": ["bell at p-1"]}
    stage.engine.write(lambda tx: tasks.change(tx, task, error=error))
    assert "left something behind" in refusal(stage, stage.task(task))


def test_what_may_still_be_on_its_way_is_kept(stage: Stage) -> None:
    task = stage.run(Make(provider="p-1", what="bell"))
    stage.engine.write(
        lambda tx: tx.execute(
            sa.update(schema.sends).values(over_at=None, answered=False)
        )
    )
    assert "on its way" in refusal(stage, task)


def test_what_is_tried_again_goes_after_the_retry(stage: Stage) -> None:
    first = failed(stage)
    again = retry.retry(stage.engine, first.id, "me")
    stage.work()
    assert "tries it again" in refusal(stage, stage.task(first))
    forget.forget(stage.engine, again.id, "me")
    forget.forget(stage.engine, first.id, "me")


@pytest.mark.parametrize("batch", [1, 100])
def test_pruning_takes_what_is_old_and_counts_what_it_keeps(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(forget, "BATCH", batch)
    first = failed(stage)
    retry.retry(stage.engine, first.id, "me")
    stage.work()
    kept = watched(stage)
    open_ = stage.ask(Make(provider="p-1", what="ball"))
    engine = stage.engine
    assert forget.prune(engine, timedelta(days=1), "me").forgotten == 0
    dry = forget.prune(engine, NOW, "me", dry_run=True)
    assert len(stage.tasks()) == 4
    wet = forget.prune(engine, NOW, "me")
    assert (dry.forgotten, dry.kept) == (wet.forgotten, wet.kept)
    assert wet.forgotten == 2
    assert list(wet.kept.values()) == [1]
    assert {it.id for it in stage.tasks()} == {kept.id, open_.id}


def test_a_retry_that_is_kept_keeps_what_it_tried(stage: Stage) -> None:
    first = failed(stage)
    retry.retry(stage.engine, first.id, "me")
    assert forget.prune(stage.engine, NOW, "me").forgotten == 0


def test_a_repeat_of_what_was_deleted_asks_for_nothing_again(stage: Stage) -> None:
    bell = Make(provider="p-1", what="bell")
    task = stage.ask(bell, key="once")
    stage.work()
    forget.forget(stage.engine, task.id, "me")
    with pytest.raises(Rejected, match="deleted since"):
        stage.ask(bell, key="once")
    assert stage.world.sent == ["bell"]


def test_many_are_asked_each_by_itself_and_once(stage: Stage) -> None:
    gone, open_ = failed(stage), stage.ask(Make(provider="p-1", what="ball"))
    ids, key = [gone.id, open_.id], "01890000-0000-7000-8000-000000000001"
    foreseen = stage.engine.read(lambda tx: many.foresee(tx, Deed.RETRY, ids))
    assert [(it.refused, len(it.tasks)) for it in foreseen] == [(False, 1), (True, 1)]
    for _ in range(2):
        many.carry_out(stage.engine, Deed.RETRY, ids, "me", key)
    assert len([it for it in stage.tasks() if it.retry_of == gone.id]) == 1
    row = stage.engine.read(lambda tx: journal.deed(tx, key))
    assert row is not None
    assert (row.actor, row.action) == ("me", "retry-many")
    assert (row.data["done"], row.data["refused"]) == (1, 1)
    assert row.data["told"][0]["why"] == "It has not ended yet."


def test_a_failure_is_not_pruned_before_whoever_waits_for_it_was_told(
    stage: Stage,
) -> None:
    """A person who deletes it has seen it."""
    good, bad = stage.run(Make(provider="p-1", what="bell")), failed(stage)

    def subscribe(tx: Transaction) -> None:
        for task in (good, bad):
            notifications.subscribe(tx, task.id, "me", "task")

    stage.engine.write(subscribe)
    pruned = forget.prune(stage.engine, NOW, "me")
    assert (pruned.forgotten, pruned.kept) == (
        1,
        {"Somebody is still to be told that it failed.": 1},
    )
    (told,) = stage.engine.read(lambda tx: notifications.listed(tx, "me"))
    stage.engine.write(lambda tx: notifications.dismiss(tx, told.id, "me"))
    assert forget.prune(stage.engine, NOW, "me").forgotten == 1


def test_a_worker_that_wakes_up_after_its_task_was_deleted_does_nothing(
    stage: Stage,
) -> None:
    """Of a root, of a child, and of a plan to be finished: others have gone on with it
    (rule 5)."""
    stage.ask(Make(provider="p-1", what="bell"))
    root = stage.ask(MakeAll(provider="p-1", whats=("book",)))
    asleep = stage.claim("silent")
    recover.worker_silent(stage.engine, "silent", "not heard")
    for task in stage.claim():
        perform(stage.engine, task)
    asleep += stage.claim("silent")
    recover.worker_silent(stage.engine, "silent", "not heard")
    for task in stage.claim():
        perform(stage.engine, task)
    stage.check()
    asleep += stage.claim("silent")
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.work()
    assert stage.task(root).outcome == "ok"
    assert {(task.is_root, str(task.step)) for task in asleep} == {
        (True, "run"),
        (False, "run"),
        (True, "finish"),
    }
    assert forget.prune(stage.engine, NOW, "me").forgotten == 2
    for task in asleep:
        perform(stage.engine, task)
    assert stage.tasks() == []


def test_a_used_key_is_kept_for_a_day_after_the_end_of_what_was_deleted(
    stage: Stage,
) -> None:
    """Not only after the request: it may have run for longer (rule 20)."""
    command, day = Make(provider="p-1", what="bell"), timedelta(hours=25)
    asked = stage.ask(command, key="k")
    keys, left = schema.idempotency, schema.tombstones

    def long_ago(tx: Transaction) -> None:
        tx.execute(sa.update(keys).values(created_at=tx.now - day))

    stage.engine.write(long_ago)
    stage.work()
    forget.forget(stage.engine, asked.id, "me")
    stage.engine.write(forget_old_keys)
    with pytest.raises(Rejected, match="was deleted since"):
        stage.ask(command, key="k")
    stage.engine.write(lambda tx: tx.execute(sa.update(left).values(at=tx.now - day)))
    stage.engine.write(forget_old_keys)
    assert stage.ask(command, key="k").id != asked.id
