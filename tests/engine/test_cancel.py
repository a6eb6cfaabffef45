"""Cancel: what was never sent ends at once, and what is at the provider is asked to
stop and followed to its end, which counts (rules 5, 8, invariants 3, 9)."""

from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.errors import BadInput, NotSent, Rejected
from earmark.domain.outcome import Done, Failed, Running
from earmark.domain.task import Task
from earmark.engine import ask_to_stop
from earmark.engine import cancel as cancelling
from earmark.engine.cancel import cancel
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.store import locks
from earmark.store.schema import placeholders as placeholder_table
from tests.engine import races
from tests.engine.races import (
    ALL,
    MakeStoppably,
    Watch,
    by_key,
    effect_of,
    evidence_of,
    intend_only,
    lose,
    mixed,
    offered,
    stops,
)
from tests.engine.world import Make, MakeAll, MakeBlindly, Stage


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in ALL:
        stage.engine.commands.register(command)
    return stage


def test_what_was_never_sent_ends_at_once(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    assert offered(stage, task) == "nothing-sent"
    ended = cancel(stage.engine, task.id, "ada")
    assert (ended.outcome, ended.cancelled_by) == ("cancelled", "ada")
    assert offered(stage, task) == ""
    stage.work()
    assert stage.world.sent == []


def test_a_running_action_sees_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    task = stage.ask(Watch())

    def work(ctx: Ctx) -> str:
        seen.append(ctx.cancelled)
        assert offered(stage, task) == "ask-worker"
        cancel(stage.engine, task.id, "ada")
        seen.append(ctx.cancelled)
        raise InterruptedError("as asked")

    monkeypatch.setattr(Watch, "work", work)
    stage.work()
    assert seen == [False, True]
    assert stage.task(task).outcome == "cancelled"


def test_an_action_that_ends_well_all_the_same_is_ok(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.ask(Watch())

    def work(ctx: Ctx) -> str:
        cancel(stage.engine, task.id, "ada")
        return "done before it looked"

    monkeypatch.setattr(Watch, "work", work)
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "done before it looked")


def under_way(stage: Stage, kind: type[Make]) -> tuple[Task, str]:
    """A bound job that goes on."""
    races.running(stage)
    task = stage.ask(kind(provider="p-1", what="a"))
    stage.work(rounds=2)
    return task, effect_of(stage, task).external_id


def test_a_command_that_cannot_stop_is_followed(stage: Stage) -> None:
    task, job = under_way(stage, Make)
    assert offered(stage, task) == "follow"
    assert cancel(stage.engine, task.id, "ada").state == "cancelling"
    stage.check()
    assert stage.task(task).state == "cancelling"
    stage.world.jobs[job] = Done("made")
    stage.check()
    assert (stage.task(task).outcome, stage.world.asked) == ("ok", [])


def test_a_provider_that_stops_it(stage: Stage) -> None:
    stops(stage)
    task, job = under_way(stage, MakeStoppably)
    assert offered(stage, task) == "ask-provider"
    cancel(stage.engine, task.id, "ada")
    assert stage.engine.read(lambda tx: list(locks.on(tx, "thing", "a")))
    stage.check()
    ended = stage.task(task)
    assert (ended.outcome, stage.world.asked) == ("cancelled", [job])
    assert "stopped on request" in ended.message
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "thing", "a")))


def test_it_ended_well_before_it_could_be_stopped(stage: Stage) -> None:
    task, job = under_way(stage, MakeStoppably)
    stage.world.jobs[job] = Done("made")
    cancel(stage.engine, task.id, "ada")
    stage.check()
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "made")


@pytest.mark.parametrize("error", [RuntimeError("bug"), TimeoutError(), NotSent("no")])
def test_asking_that_fails_ends_nothing(stage: Stage, error: Exception) -> None:
    task, _ = under_way(stage, MakeStoppably)

    def fail(job: str) -> None:
        raise error

    stage.world.on_stop = fail
    cancel(stage.engine, task.id, "ada")
    for _ in range(3):
        stage.check()
    waiting = stage.task(task)
    assert (waiting.state, effect_of(stage, task).state) == ("cancelling", "bound")
    assert len(stage.world.asked) >= 1
    an_age_passes(stage)
    stops(stage)
    stage.check()
    assert stage.task(task).outcome == "cancelled"


def an_age_passes(stage: Stage) -> None:
    """Simulated: what was asked for was asked long ago."""
    stage.engine.write(
        lambda tx: tx.execute(
            placeholder_table.update()
            .where(placeholder_table.c.cancel_asked_at.is_not(None))
            .values(cancel_asked_at=tx.now - 2 * ask_to_stop.ASK_EVERY)
        )
    )


def test_stopped_although_the_answer_to_that_was_lost(stage: Stage) -> None:
    task, _ = under_way(stage, MakeStoppably)

    def stop(job: str) -> None:
        stage.world.jobs[job] = Failed("stopped on request", "stopped")
        raise TimeoutError("no answer")

    stage.world.on_stop = stop
    cancel(stage.engine, task.id, "ada")
    stage.check()
    assert stage.task(task).outcome == "cancelled"


def test_a_job_goes_on_and_is_asked_for_again(stage: Stage) -> None:
    task, job = under_way(stage, MakeStoppably)
    cancel(stage.engine, task.id, "ada")
    for _ in range(3):
        stage.check()
    assert stage.world.asked == [job]
    an_age_passes(stage)
    stage.check()
    assert stage.world.asked == [job, job]
    assert stage.task(task).state == "cancelling"


def test_an_unreachable_provider_ends_nothing(stage: Stage) -> None:
    def silent(job: str) -> Any:
        raise TimeoutError("no answer")

    task, job = under_way(stage, MakeStoppably)
    stage.world.on_stop = stage.world.on_poll = silent
    cancel(stage.engine, task.id, "ada")
    for _ in range(30):
        stage.check()
    assert stage.task(task).state == "cancelling"
    stage.world.on_stop, stage.world.on_poll = None, None
    stage.world.jobs[job] = Done("made")
    stage.check()
    assert stage.task(task).outcome == "ok"


@pytest.mark.parametrize("landed", [True, False])
def test_in_doubt_is_found_out_first(stage: Stage, landed: bool) -> None:
    stops(stage)
    stage.world.on_send = lose
    task = stage.ask(MakeStoppably(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    if landed:
        stage.world.jobs[effect_of(stage, task).id] = Running(5, "going on")
    assert offered(stage, task) == "find-out"
    waiting = cancel(stage.engine, task.id, "ada")
    assert (waiting.state, waiting.outcome) == ("cancelling", None)
    stage.work()
    assert stage.task(task).outcome == "cancelled"
    assert (len(stage.world.asked), stage.world.sent) == (int(landed), ["a"])


def test_what_was_cleared_to_be_sent_again_is_not(stage: Stage) -> None:
    stage.world.on_send = lose
    task = stage.ask(MakeStoppably(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    stage.check()
    assert stage.task(task).state == "queued"
    assert effect_of(stage, task).resend
    assert offered(stage, task) == "find-out"
    cancel(stage.engine, task.id, "ada")
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("cancelled", ["a"])


def test_held_stays_held(stage: Stage) -> None:
    task = races.held(stage)
    assert offered(stage, task) == "person"
    assert cancel(stage.engine, task.id, "ada").state == "held"
    stage.work()
    assert stage.task(task).state == "held"
    with pytest.raises(Rejected):
        resolve(stage.engine, task.id, Decision.SEND_AGAIN, "ada")
    resolve(stage.engine, task.id, Decision.ABSENT, "ada")
    stage.check()
    assert stage.task(task).done
    assert stage.world.sent == ["a"]


def test_a_person_had_it_sent_again_and_it_was_cancelled_before_that(
    stage: Stage,
) -> None:
    """The first request is as unexplained as before: it ends nothing (invariant 3)."""
    task = races.held(stage)
    resolve(stage.engine, task.id, Decision.SEND_AGAIN, "ada")
    assert offered(stage, task) == "find-out"
    cancel(stage.engine, task.id, "ada")
    assert not stage.task(task).done
    stage.work()
    now = stage.task(task)
    assert (now.state, effect_of(stage, task).state) == ("held", "held")
    assert stage.world.sent == ["a"]


def test_and_between_its_claim_and_its_intent(stage: Stage) -> None:
    task = races.held(stage)
    resolve(stage.engine, task.id, Decision.SEND_AGAIN, "ada")
    (claimed,) = stage.claim()
    cancel(stage.engine, task.id, "ada")
    perform(stage.engine, claimed)
    stage.work()
    now = stage.task(task)
    assert (now.state, effect_of(stage, task).state) == ("held", "held")


def test_all_its_parts_have_ended_already(stage: Stage) -> None:
    """Then there is nothing to stop, and the offer says so."""
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    for _ in range(2):
        for claimed in stage.claim():
            perform(stage.engine, claimed)
    stage.check()
    assert (stage.task(root).state, stage.task(root).step) == ("queued", "finish")
    offer = stage.engine.read(lambda tx: cancelling.offer(tx, stage.task(root)))
    assert offer is not None
    assert offer.kind == "follow"
    assert "What is done already stays: 2 effects." in offer.text
    cancel(stage.engine, root.id, "ada")
    stage.work()
    assert stage.task(root).outcome == "ok"


def test_twice_on_a_part_and_on_what_has_ended(stage: Stage) -> None:
    races.running(stage)
    root = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    stage.work(rounds=2)
    child = by_key(stage)["a"]
    assert offered(stage, child) == ""
    with pytest.raises(BadInput) as refused:
        cancel(stage.engine, child.id, "ada")
    assert root.id in refused.value.hint
    first = cancel(stage.engine, root.id, "ada")
    second = cancel(stage.engine, root.id, "bob")
    assert (second.version, second.cancelled_by) == (first.version, "ada")
    stage.world.jobs = dict.fromkeys(stage.world.jobs, Done("made"))
    stage.work()
    assert stage.task(root).outcome == "ok"
    with pytest.raises(Rejected, match="has ended already"):
        cancel(stage.engine, root.id, "ada")


def test_a_failed_plan_can_still_be_cancelled(stage: Stage) -> None:
    """After the verdict, too, the provider is asked to stop what nobody wants; the
    verdict that stands stays."""
    stops(stage)
    root = stage.ask(mixed("bad:plain", "bound:stoppable"))
    races.running(stage)
    stage.work(rounds=2)
    now = by_key(stage)
    stage.world.jobs[effect_of(stage, now["bad"]).external_id] = Failed("disk full")
    stage.check()
    assert (stage.task(root).verdict, stage.world.asked) == ("failed", [])
    cancel(stage.engine, root.id, "ada")
    stage.check()
    assert stage.task(now["bound"]).outcome == "cancelled"
    assert stage.task(root).outcome == "failed"


def test_what_it_leaves_behind_is_named_even_without_a_result(stage: Stage) -> None:
    stops(stage)
    races.running(stage)
    root = stage.ask(mixed("quiet:plain", "bound:stoppable"))
    stage.work(rounds=2)
    quiet = by_key(stage)["quiet"]
    job = effect_of(stage, quiet).external_id
    stage.world.jobs[job] = Done(None)
    stage.check()
    offer = stage.engine.read(lambda tx: cancelling.offer(tx, stage.task(root)))
    assert offer is not None
    assert "1 effect." in offer.text
    cancel(stage.engine, root.id, "ada")
    stage.check()
    ended = stage.task(root)
    assert ended.outcome == "cancelled"
    assert job in (ended.error or {})["left_behind"][0]


def test_a_late_bind_after_the_cancel_is_used(stage: Stage) -> None:
    """The cancel never fences out a bind (rule 5)."""
    stops(stage)
    task = stage.ask(MakeStoppably(provider="p-1", what="a"))
    (claimed,) = stage.claim()
    sender = intend_only(stage, claimed)
    cancel(stage.engine, task.id, "ada")
    stage.world.jobs[sender.effect_id] = Running(5, "going on")
    sender.bind(sender.effect_id)
    effect = effect_of(stage, task)
    assert (effect.state, effect.external_id) == ("bound", sender.effect_id)
    stage.check()
    assert stage.task(task).outcome == "cancelled"
    assert any("asked to stop" in text for text in evidence_of(stage, task))


def test_blindly_sent_is_held_and_not_cancelled(stage: Stage) -> None:
    stage.world.on_send = lose
    task = stage.ask(MakeBlindly(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    cancel(stage.engine, task.id, "ada")
    stage.work()
    assert stage.task(task).state == "held"
