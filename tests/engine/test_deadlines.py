"""Deadlines of whole tasks: they change who is asked, and invent no outcome
(invariant 7). Time itself is simulated: the rows' deadlines are moved."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.command import Deadlines, Retry, WhenLocked
from earmark.domain.errors import NotSent
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Running
from earmark.domain.task import Task
from earmark.engine.cancel import cancel
from earmark.engine.expire import expire
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.store import locks
from earmark.store.schema import tasks as task_table
from tests.engine import races
from tests.engine.races import (
    ALL,
    Between,
    MakeMixed,
    MakeStoppably,
    Watch,
    by_key,
    effect_of,
    honest,
    lose,
    mixed,
)
from tests.engine.world import Make, MakeBlindly, MakeTagged, Stage

LIMITS = Deadlines(start=3600, run=7200)


class MakeInTime(MakeStoppably):
    """A job with deadlines, which its provider can stop."""

    title = "Make {what} in time"
    deadlines = LIMITS
    retry = Retry(attempts=3, first=timedelta(minutes=5))


class MakeTaggedInTime(MakeTagged):
    """A job with deadlines, which cannot be stopped."""

    title = "Make {what}, marked, in time"
    deadlines = LIMITS


class MakeBlindlyInTime(MakeBlindly):
    """A job with deadlines, which nobody can be asked about."""

    title = "Make {what} blindly in time"
    deadlines = LIMITS


class WatchInTime(Watch):
    """An action with deadlines."""

    title = "Watch in time"
    deadlines = LIMITS


class MixInTime(MakeMixed):
    """A plan with deadlines."""

    title = "Make a mixture in time"
    deadlines = LIMITS


class QueueInTime(MakeInTime):
    """A job that waits for its lock."""

    title = "Queue for {what} in time"
    when_locked = WhenLocked.QUEUE

    def locks(self) -> Sequence[Lock]:
        return [exclusive("things", self.provider)]


races.KINDS = {**races.KINDS, "timed": MakeInTime}


@pytest.fixture
def stage(stage: Stage) -> Stage:
    mine = (MakeInTime, MakeTaggedInTime, MakeBlindlyInTime, WatchInTime)
    for command in (*ALL, *mine, MixInTime, QueueInTime):
        stage.engine.commands.register(command)
    return stage


def parts(*some: str) -> MixInTime:
    return MixInTime(provider="p-1", parts=mixed(*some).parts)


def over(stage: Stage, column: str, task: Task | None = None) -> None:
    """The deadline passes (simulated)."""
    table = task_table
    chosen: list[Any] = [table.c[column].is_not(None)]
    if task is not None:
        chosen.append(table.c.id == task.id)
    stage.engine.write(
        lambda tx: tx.execute(
            table.update()
            .where(*chosen)
            .values({column: tx.now - timedelta(seconds=1)})
        )
    )


def code(task: Task) -> str:
    return str((task.error or {}).get("code"))


def timed_out(stage: Stage, task: Task) -> Task:
    over(stage, "end_by", task)
    expire(stage.engine)
    return stage.task(task)


def make(kind: type[Make] = MakeInTime) -> Make:
    return kind(provider="p-1", what="a")


def stops(stage: Stage) -> None:
    def stop(job: str) -> None:
        stage.world.jobs[job] = Failed("stopped on request", "stopped")

    stage.world.on_stop = stop


def test_not_started_in_time(stage: Stage) -> None:
    task = stage.ask(make())
    assert expire(stage.engine) == 0
    over(stage, "start_by")
    assert expire(stage.engine) == 1
    ended = stage.task(task)
    assert (ended.outcome, code(ended)) == ("expired", "not-started")
    assert (stage.claim(), stage.world.sent) == ([], [])
    assert expire(stage.engine) == 0


@pytest.mark.parametrize("first", ["claim", "expire"])
def test_not_started_raced_with_a_claim(stage: Stage, first: str) -> None:
    task = stage.ask(make())
    over(stage, "start_by")
    claimed: list[Task] = []
    if first == "claim":
        with Between(stage).before(0, lambda: claimed.extend(stage.claim())):
            expire(stage.engine)
    else:
        with Between(stage).before(0, lambda: expire(stage.engine)):
            claimed = stage.claim()
    assert len(claimed) == int(first == "claim")
    for one in claimed:
        perform(stage.engine, one)
    stage.work()
    wanted = "ok" if first == "claim" else "expired"
    assert stage.task(task).outcome == wanted


def test_what_was_started_does_not_expire_by_its_start(stage: Stage) -> None:
    def fail(what: str, ctx: Ctx) -> str:
        raise NotSent("no route")

    stage.world.on_send = fail
    task = stage.ask(make())
    stage.work(rounds=1)
    assert stage.task(task).state == "queued"
    over(stage, "start_by")
    assert expire(stage.engine) == 0
    assert stage.task(task).state == "queued"


def test_a_restored_one_may_have_been_sent(stage: Stage) -> None:
    """It looks unstarted because the store is an older copy (rule 15)."""
    task = stage.ask(make())
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))
    over(stage, "start_by")
    expire(stage.engine)
    assert stage.task(task).state == "queued"


def test_its_time_is_over_and_nothing_was_sent(stage: Stage) -> None:
    def fail(what: str, ctx: Ctx) -> str:
        raise NotSent("no route")

    stage.world.on_send = fail
    task = stage.ask(make())
    stage.work(rounds=1)
    ended = timed_out(stage, task)
    assert (ended.outcome, code(ended)) == ("expired", "deadline")
    assert ended.cancelled_by == "deadline"
    honest(stage)


def test_between_its_plan_and_its_send(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.ask(make())

    def prepare(self: Any, ctx: Ctx) -> None:
        timed_out(stage, task)

    monkeypatch.setattr(MakeInTime, "prepare", prepare)
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("expired", [])


def under_way(stage: Stage, kind: type[Make] = MakeInTime) -> tuple[Task, str]:
    races.running(stage)
    task = stage.ask(make(kind))
    stage.work(rounds=2)
    return task, effect_of(stage, task).external_id


def test_something_was_sent_and_the_provider_stops_it(stage: Stage) -> None:
    stops(stage)
    task, job = under_way(stage)
    asked = timed_out(stage, task)
    assert (asked.state, asked.outcome) == ("cancelling", None)
    stage.check()
    ended = stage.task(task)
    assert stage.world.asked == [job]
    assert (ended.outcome, code(ended)) == ("failed", "deadline")
    assert ended.message.count("Its time was over.") == 1


@pytest.mark.parametrize("kind", [MakeInTime, MakeTaggedInTime])
def test_something_was_sent_and_ends_well(stage: Stage, kind: type[Make]) -> None:
    task, job = under_way(stage, kind)
    timed_out(stage, task)
    stage.check()
    assert stage.task(task).state == "cancelling"
    stage.world.jobs[job] = Done("made")
    stage.check()
    assert (stage.task(task).outcome, stage.task(task).result) == ("ok", "made")


@pytest.mark.parametrize("landed", [True, False])
def test_in_doubt_it_is_found_out_first(stage: Stage, landed: bool) -> None:
    stage.world.on_send = lose
    task = stage.ask(make(MakeTaggedInTime))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    assert timed_out(stage, task).state == "cancelling"
    if landed:
        stage.world.jobs[effect_of(stage, task).id] = Done("made")
    stage.work()
    ended = stage.task(task)
    assert len(stage.world.sent) == 1
    if landed:
        assert ended.outcome == "ok"
    else:
        assert (ended.outcome, code(ended)) == ("failed", "deadline")


def test_held_stays_held(stage: Stage) -> None:
    task = races.held(stage, MakeBlindlyInTime)
    assert timed_out(stage, task).state == "held"
    resolve(stage.engine, task.id, Decision.WATCH, "ada")
    assert stage.task(task).outcome == "interrupted"


def test_an_action_is_asked_to_stop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.ask(WatchInTime())
    seen: list[bool] = []

    def work(ctx: Ctx) -> str:
        timed_out(stage, task)
        seen.append(ctx.cancelled)
        raise InterruptedError("as asked")

    monkeypatch.setattr(WatchInTime, "work", work)
    stage.work()
    ended = stage.task(task)
    assert (seen, ended.outcome, code(ended)) == ([True], "expired", "deadline")


def test_a_plan_of_which_nothing_was_sent_expires(stage: Stage) -> None:
    root = stage.ask(parts("a:plain", "b:pair", "c:plain:a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    ended = timed_out(stage, root)
    assert (ended.outcome, code(ended)) == ("expired", "deadline")
    assert ended.message.count("Its time was over.") == 1
    assert {task.outcome for task in stage.tasks()} == {"expired"}
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    honest(stage)


def test_a_plan_of_which_something_was_sent_fails(stage: Stage) -> None:
    stops(stage)
    root = stage.ask(parts("a:plain", "b:stoppable", "c:plain:b"))
    stage.work(rounds=1)
    for send in (stage.world.make, lambda what, ctx: races.go_on(stage, ctx)):
        (claimed,) = stage.claim(limit=1)
        stage.world.on_send = send
        perform(stage.engine, claimed)
    stage.check()
    waiting = timed_out(stage, root)
    assert (waiting.state, waiting.outcome) == ("cancelling", None)
    assert by_key(stage)["c"].outcome == "expired"
    stage.check()
    ended = stage.task(root)
    assert (ended.outcome, code(ended)) == ("failed", "deadline")
    assert "a!" in (ended.error or {})["left_behind"][0]
    honest(stage)


def test_a_plan_whose_last_part_ends_well_is_ok(stage: Stage) -> None:
    races.running(stage)
    root = stage.ask(parts("a:plain"))
    stage.work(rounds=2)
    timed_out(stage, root)
    stage.world.jobs = dict.fromkeys(stage.world.jobs, Done("made"))
    stage.work()
    assert stage.task(root).outcome == "ok"


def test_a_parts_own_deadline_fails_its_plan(stage: Stage) -> None:
    stops(stage)
    races.running(stage)
    root = stage.ask(mixed("a:timed", "b:plain:a"))
    stage.work(rounds=2)
    timed_out(stage, by_key(stage)["a"])
    stage.check()
    ended, now = stage.task(root), by_key(stage)
    assert (now["a"].outcome, now["b"].outcome) == ("failed", "cancelled")
    assert (ended.outcome, code(ended)) == ("failed", "deadline")
    assert ended.cancelled_by is None


def test_its_time_runs_while_it_queues_for_a_lock(stage: Stage) -> None:
    races.running(stage)
    first = stage.ask(mixed("x:plain"))
    stage.work(rounds=2)
    task = stage.ask(make(QueueInTime))
    stage.work(rounds=1)
    assert stage.task(task).state == "waiting"
    ended = timed_out(stage, task)
    assert (ended.outcome, code(ended)) == ("expired", "deadline")
    assert not stage.engine.read(lambda tx: list(locks.waiting(tx, "things", "p-1")))
    assert stage.task(first).state == "waiting"


def test_a_person_cancels_what_has_run_too_long(stage: Stage) -> None:
    """That was asked already: nothing changes."""
    task, _ = under_way(stage, MakeTaggedInTime)
    before = timed_out(stage, task)
    assert cancel(stage.engine, task.id, "ada").version == before.version


def test_a_person_had_cancelled_before(stage: Stage) -> None:
    task, _ = under_way(stage, MakeTaggedInTime)
    cancel(stage.engine, task.id, "ada")
    assert timed_out(stage, task).cancelled_by == "ada"


@pytest.mark.parametrize("kind", [MakeInTime, MakeTaggedInTime])
def test_its_time_is_over_at_each_transaction(stage: Stage, kind: type[Make]) -> None:
    at, more = 0, True
    while more:
        polled: list[str] = []

        def poll(job: str, polled: list[str] = polled) -> Any:
            polled.append(job)
            return Running(50) if len(polled) == 1 else stage.world.jobs[job]

        stage.world.on_poll = poll
        task = stage.ask(make(kind))
        intended: list[int] = []
        before = races.intents(stage)

        def deed(task: Task = task, intended: list[int] = intended) -> None:
            timed_out(stage, task)
            if stage.task(task).cancelled_by:
                intended.append(races.intents(stage))

        with Between(stage).before(at, deed) as between:
            stage.work()
        honest(stage, task)
        ended = stage.task(task)
        if not intended:
            assert ended.outcome == "ok"
        else:
            assert races.intents(stage) == intended[0]
            sent = intended[0] > before
            assert ended.outcome == ("ok" if sent else "expired")
        at, more = at + 1, between.count > at
    assert at > 5
