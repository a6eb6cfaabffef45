"""A worker is lost at each transaction of a run: resumed, or failed by policy; and what
kills its workers again and again (rules 1, 7, 8, invariants 3, 4, 8)."""

from collections.abc import Mapping
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Child, Command, Composite, OnRestart
from earmark.domain.outcome import Done, Running
from earmark.domain.refs import ProviderRef
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.perform import perform
from earmark.engine.recover import MOST_RECOVERIES, worker_gone
from earmark.store import locks
from earmark.store import tasks as task_rows
from tests.engine import races
from tests.engine.races import (
    ALL,
    Between,
    MakeMixed,
    Watch,
    by_key,
    effect_of,
    honest,
    intend_only,
    intents,
    lose,
)
from tests.engine.world import Make, MakeAll, MakeTagged, Stage


class MakeOrFail(MakeTagged):
    """A job that fails when its worker is lost."""

    title = "Make {what} or fail"
    on_restart = OnRestart.FAIL


class MixOrFail(MakeMixed):
    """A plan that fails when a worker is lost under it."""

    title = "Make a mixture or fail"
    on_restart = OnRestart.FAIL


class WatchOrFail(Watch):
    """An action that fails when its worker is lost."""

    title = "Watch or fail"
    on_restart = OnRestart.FAIL


class Nested(Composite[str]):
    """A plan that is resumed, with a part that is not, and one beside it."""

    title = "Nested"
    provider: ProviderRef

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        parts = (("x", "tagged", ()), ("y", "tagged", ("x",)))
        inner = MixOrFail(provider=self.provider, parts=parts)
        return {
            "inner": inner,
            "beside": Make(provider=self.provider, what="beside"),
            "after": Child(Make(provider=self.provider, what="after"), ("inner",)),
        }

    def finish(self, tx: Tx, results: Results) -> str:
        return "nested"


class NestedOrFail(Nested):
    """The same, failing as a whole; its inner plan alone would be resumed."""

    title = "Nested or fail"
    on_restart = OnRestart.FAIL

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        inner = MakeAll(provider=self.provider, whats=("x", "y"))
        return {"inner": inner, "b": Make(provider=self.provider, what="b")}


@pytest.fixture
def stage(stage: Stage) -> Stage:
    mine = (MakeOrFail, MixOrFail, WatchOrFail, Nested, NestedOrFail)
    for command in (*ALL, *mine):
        stage.engine.commands.register(command)
    return stage


def parts(kind: type[MakeMixed], *some: str) -> MakeMixed:
    return kind(provider="p-1", parts=races.mixed(*some).parts)


def raced(stage: Stage, command: Command[Any], at: int) -> bool:
    """Run it with its worker lost before the `at`-th transaction."""
    made: list[str] = []

    def send(what: str, ctx: Ctx) -> str:
        made.append(ctx.token)
        return stage.world.make(what, ctx)

    stage.world.on_send = send
    root = stage.ask(command)
    lost: list[int] = []

    def deed() -> None:
        if any(task.state == "running" for task in stage.tasks()):
            worker_gone(stage.engine, "w-1", "its process is gone")
            lost.append(intents(stage))

    with Between(stage).before(at, deed) as between:
        stage.work(rounds=40)
    task = stage.task(root)
    assert task.done
    honest(stage, root)
    tagged = [e.id for e in stage.effects() if e.effect == "tag"]
    assert all(made.count(token) <= 1 for token in tagged), "made twice"
    if not lost or command.on_restart is OnRestart.RESUME:
        assert task.outcome == "ok"
    elif task.outcome != "ok":
        assert (task.outcome, task.verdict) in [("failed", "failed"), ("failed", None)]
        assert intents(stage) == lost[0], "sent after the worker was lost"
        below = [t for t in stage.tasks() if t.root_id == root.id]
        stays = [effect_of(stage, t) for t in below if effect_of(stage, t)]
        there = [e for e in stays if e.state == "settled"]
        assert len((task.error or {}).get("left_behind", ())) == len(there)
        assert (task.error or {})["code"] == "interrupted"
    return between.count > at


PLAN = ("a:tagged", "b:tagged", "c:plain:a", "d:pair")


@pytest.mark.parametrize(
    "command",
    [
        MakeTagged(provider="p-1", what="a"),
        MakeOrFail(provider="p-1", what="a"),
        WatchOrFail(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_worker_is_lost_at_each_transaction(
    stage: Stage, command: Command[Any]
) -> None:
    at = 0
    while raced(stage, command, at):
        at += 1
    assert at > 2


@pytest.mark.slow
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("kind", [MakeMixed, MixOrFail])
def test_and_at_each_of_a_plan(stage: Stage, kind: type[MakeMixed], at: int) -> None:
    """In five goes, to spread them: each takes every fifth."""
    while raced(stage, parts(kind, *PLAN), at):
        at += 5
    assert at > 20


def planned(stage: Stage, command: Command[Any]) -> Task:
    root = stage.ask(command)
    (claimed,) = stage.claim("w-1")
    perform(stage.engine, claimed)
    return root


def step(stage: Stage, send: Any) -> None:
    """The next part is claimed by another worker and sent."""
    (claimed,) = stage.claim("w-2", limit=1)
    stage.world.on_send = send
    perform(stage.engine, claimed)
    stage.world.on_send = None


def test_lost_before_its_plan(stage: Stage) -> None:
    root = stage.ask(parts(MixOrFail, "a:plain"))
    stage.claim("w-1")
    assert worker_gone(stage.engine, "w-1", "it is gone") == 1
    ended = stage.task(root)
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "interrupted")
    assert len(stage.tasks()) == 1
    assert stage.effects() == []


def test_lost_before_a_send_fails_all_in_one_transaction(stage: Stage) -> None:
    """With siblings planned, bound and in doubt: one transaction."""
    root = planned(
        stage,
        parts(MixOrFail, "bound:plain", "doubt:tagged", "lost:plain", "more:plain"),
    )
    step(stage, lambda what, ctx: races.go_on(stage, ctx))
    step(stage, lose)
    stage.claim("w-1", limit=1)
    lost = stage.engine.read(lambda tx: task_rows.running_of(tx, "w-1"))
    with Between(stage).before(-1, lambda: None) as between:
        assert recover.recover(stage.engine, lost[0], "its worker is gone")
    assert between.count == 1
    now = by_key(stage)
    assert (now["lost"].outcome, now["more"].outcome) == ("failed", "cancelled")
    assert stage.task(root).verdict == "failed"
    assert stage.task(root).state == "waiting"
    assert stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    assert stage.claim() == []
    before = intents(stage)
    job = effect_of(stage, now["bound"]).external_id
    stage.world.jobs[job] = Done("bound!")
    stage.work()
    ended, now = stage.task(root), by_key(stage)
    assert (now["bound"].outcome, now["doubt"].outcome) == ("ok", "cancelled")
    assert (ended.outcome, intents(stage)) == ("failed", before)
    assert "bound!" in (ended.error or {})["left_behind"][0]
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    honest(stage)


@pytest.mark.parametrize("landed", [True, False])
def test_lost_after_the_intent(stage: Stage, landed: bool) -> None:
    root = planned(stage, parts(MixOrFail, "a:tagged", "b:plain"))
    (claimed,) = stage.claim("w-1", limit=1)
    sender = intend_only(stage, claimed)
    if landed:
        stage.world.jobs[sender.effect_id] = Done("a!")
    worker_gone(stage.engine, "w-1", "it is gone")
    now = by_key(stage)
    assert effect_of(stage, now["a"]).state == "in_doubt"
    assert (now["b"].outcome, stage.task(root).verdict) == ("cancelled", "failed")
    stage.work()
    ended, now = stage.task(root), by_key(stage)
    assert (ended.outcome, stage.world.sent) == ("failed", [])
    assert now["a"].outcome == ("ok" if landed else "cancelled")
    assert ("left_behind" in (ended.error or {})) == landed


@pytest.mark.parametrize("landed", [True, False])
def test_a_job_of_its_own_after_the_intent(stage: Stage, landed: bool) -> None:
    """Its verdict has fallen, so it fails; what is there is named (rule 8)."""
    task = stage.ask(MakeOrFail(provider="p-1", what="a"))
    (claimed,) = stage.claim("w-1")
    sender = intend_only(stage, claimed)
    if landed:
        stage.world.jobs[sender.effect_id] = Done("a!")
    worker_gone(stage.engine, "w-1", "it is gone")
    assert stage.task(task).verdict == "failed"
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "interrupted")
    assert ended.cancelled_by is None
    assert stage.world.sent == []
    assert ("left_behind" in (ended.error or {})) == landed


def test_a_sender_that_only_was_silent_sends_nothing_more(stage: Stage) -> None:
    root = planned(stage, parts(MixOrFail, "a:plain", "b:plain"))
    (claimed,) = stage.claim("w-1", limit=1)
    recover.worker_silent(stage.engine, "w-1", "not heard")
    perform(stage.engine, claimed)
    stage.work()
    assert (stage.task(root).outcome, stage.world.sent) == ("failed", [])


def test_its_late_answer_is_used_all_the_same(stage: Stage) -> None:
    root = planned(stage, parts(MixOrFail, "a:tagged", "b:plain"))
    (claimed,) = stage.claim("w-1", limit=1)
    sender = intend_only(stage, claimed)
    recover.worker_silent(stage.engine, "w-1", "not heard")
    stage.world.jobs["job-7"] = Done("seven!")
    sender.bind("job-7")
    stage.work()
    assert by_key(stage)["a"].result == "seven!"
    assert "seven!" in (stage.task(root).error or {})["left_behind"][0]


def test_inside_a_plan_that_is_resumed(stage: Stage) -> None:
    root = planned(stage, Nested(provider="p-1"))
    (claimed,) = stage.claim("w-1", limit=1)
    assert claimed.key == "beside" or claimed.key == "x"
    while claimed.key != "x":
        perform(stage.engine, claimed)
        (claimed,) = stage.claim("w-1", limit=1)
    worker_gone(stage.engine, "w-1", "it is gone")
    now = by_key(stage)
    assert (now["x"].outcome, now["y"].outcome) == ("failed", "cancelled")
    assert (now["inner"].outcome, now["after"].outcome) == ("failed", "cancelled")
    stage.work()
    assert stage.task(root).outcome == "failed"
    assert set(stage.world.sent) <= {"beside"}
    honest(stage)


def test_inside_a_plan_that_fails_as_a_whole(stage: Stage) -> None:
    root = planned(stage, NestedOrFail(provider="p-1"))
    stage.claim("w-1", limit=1)
    worker_gone(stage.engine, "w-1", "it is gone")
    ended = stage.task(root)
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "interrupted")
    assert all(task.done for task in stage.tasks())
    assert stage.world.sent == []


def test_lost_while_finishing_is_resumed(stage: Stage) -> None:
    root = planned(stage, parts(MixOrFail, "a:plain"))
    step(stage, stage.world.make)
    stage.check()
    (claimed,) = stage.claim("w-1")
    assert (claimed.id, claimed.step) == (root.id, "finish")
    worker_gone(stage.engine, "w-1", "it is gone")
    stage.work()
    assert stage.task(root).outcome == "ok"


def test_an_action_that_fails_instead_of_running_twice(stage: Stage) -> None:
    task = stage.ask(WatchOrFail())
    stage.claim("w-1")
    worker_gone(stage.engine, "w-1", "it is gone")
    assert (stage.task(task).error or {})["code"] == "interrupted"


def test_poison_with_nothing_sent_fails_and_names_no_effect(stage: Stage) -> None:
    root = planned(stage, parts(MakeMixed, "a:plain", "b:plain"))
    for number in range(MOST_RECOVERIES + 1):
        assert stage.task(root).state == "waiting"
        (claimed,) = stage.claim(f"p-{number}", limit=1)
        assert claimed.key == "a"
        worker_gone(stage.engine, f"p-{number}", "it is gone")
    now = by_key(stage)
    assert (now["a"].outcome, (now["a"].error or {})["code"]) == ("failed", "poison")
    assert stage.task(root).outcome == "failed"
    assert "left_behind" not in (stage.task(root).error or {})


@pytest.mark.parametrize("kind", [MakeTagged, MakeOrFail])
def test_poison_after_an_intent_is_held(stage: Stage, kind: type[Make]) -> None:
    task = stage.ask(kind(provider="p-1", what="a"))
    for number in range(MOST_RECOVERIES if kind is MakeTagged else 0):
        stage.claim(f"p-{number}")
        worker_gone(stage.engine, f"p-{number}", "it is gone")
    stage.engine.write(
        lambda tx: task_rows.change(tx, stage.task(task), recoveries=MOST_RECOVERIES)
    )
    (claimed,) = stage.claim("last")
    intend_only(stage, claimed)
    worker_gone(stage.engine, "last", "it is gone")
    now = stage.task(task)
    assert (now.state, now.outcome) == ("held", None)
    assert "workers were lost" in now.message
    honest(stage)


def test_poison_in_finish_names_what_is_left_behind(stage: Stage) -> None:
    root = planned(stage, parts(MakeMixed, "a:plain"))
    step(stage, stage.world.make)
    stage.check()
    for number in range(MOST_RECOVERIES + 1):
        assert stage.claim(f"p-{number}")
        worker_gone(stage.engine, f"p-{number}", "it is gone")
    ended = stage.task(root)
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "poison")
    assert "a!" in (ended.error or {})["left_behind"][0]


def test_what_runs_at_the_provider_needs_no_worker(stage: Stage) -> None:
    """Bound is nobody's: a lost worker changes nothing for it."""
    task = stage.ask(MakeOrFail(provider="p-1", what="a"))
    races.running(stage)
    stage.work(rounds=2)
    assert worker_gone(stage.engine, "w-1", "it is gone") == 0
    assert isinstance(stage.world.jobs[effect_of(stage, task).external_id], Running)
    assert stage.task(task).verdict is None
