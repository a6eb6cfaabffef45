"""A cancel races with every transaction of a run, and with parts in every state (rules
5, 8, 10, invariants 3, 9)."""

from collections.abc import Callable
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.command import Command
from earmark.domain.errors import NotSent, Refused
from earmark.domain.outcome import Done, Failed, Running
from earmark.domain.task import Task
from earmark.engine.cancel import cancel
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.store import locks
from tests.engine import races
from tests.engine.races import (
    ALL,
    Between,
    MakeStoppably,
    MakeTaggedStoppably,
    by_key,
    effect_of,
    honest,
    intend_only,
    intents,
    lose,
    mixed,
    offered,
    stops,
)
from tests.engine.world import Make, Stage


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in ALL:
        stage.engine.commands.register(command)
    return stage


def ends_next(stage: Stage) -> None:
    """Each job goes on for one poll, then ends, unless it was stopped before that."""
    polled: dict[str, int] = {}

    def poll(job: str) -> Any:
        polled[job] = polled.get(job, 0) + 1
        if polled[job] == 1 and not isinstance(stage.world.jobs[job], Failed):
            return Running(50, "half")
        return stage.world.jobs[job]

    def stop(job: str) -> None:
        if polled.get(job, 0) < 2:
            stage.world.jobs[job] = Failed("stopped on request", "stopped")

    stage.world.on_poll, stage.world.on_stop = poll, stop


def lands_but_is_lost(stage: Stage) -> Callable[[str, Ctx], str]:
    """The first reply of each thing is lost."""
    lost: set[str] = set()

    def send(what: str, ctx: Ctx) -> str:
        stage.world.make(what, ctx)
        if ctx.token not in lost:
            lost.add(ctx.token)
            raise ConnectionResetError("lost")
        return ctx.token

    return send


def first_fails(stage: Stage, error: Exception) -> Callable[[str, Ctx], str]:
    """The first send of each thing raises, and does nothing."""
    seen: set[str] = set()

    def send(what: str, ctx: Ctx) -> str:
        if ctx.token not in seen:
            seen.add(ctx.token)
            raise error
        return stage.world.make(what, ctx)

    return send


PROVIDERS: dict[str, Callable[[Stage], Any]] = {
    "well": lambda stage: None,
    "reply lost": lands_but_is_lost,
    "request lost": lambda stage: first_fails(stage, ConnectionResetError("lost")),
    "not sent": lambda stage: first_fails(stage, NotSent("no route")),
    "refused": lambda stage: first_fails(stage, Refused("no", code="no")),
}


def raced(stage: Stage, command: Command[Any], at: int, provider: str) -> bool:
    """Run it with a cancel before the `at`-th transaction; False when there was none.

    Whatever came first, what is always true of a cancel is checked.
    """
    world = stage.world
    world.sent.clear()
    world.jobs.clear()
    world.on_send = PROVIDERS[provider](stage)
    ends_next(stage)
    root = stage.ask(command)
    intended: list[int] = []

    def deed() -> None:
        if not stage.task(root).done:
            cancel(stage.engine, root.id, "ada")
            intended.append(intents(stage))

    with Between(stage).before(at, deed) as between:
        stage.work()
    task = stage.task(root)
    assert task.done
    honest(stage, root)
    if intended:
        assert intents(stage) == intended[0], "an intent came after the cancel"
        assert provider == "refused" or task.outcome in ("ok", "cancelled")
    leaves = [leaf for leaf in stage.tasks() if leaf.root_id == root.id]
    for leaf in leaves:
        effect = effect_of(stage, leaf)
        if effect is None:
            continue
        if isinstance(world.jobs.get(effect.id), Done):
            assert leaf.outcome == "ok", leaf.message
        elif provider != "refused":
            assert leaf.outcome == "cancelled", leaf.message
    return between.count > at


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("kind", [MakeStoppably, MakeTaggedStoppably])
def test_a_job_cancelled_at_each_transaction(
    stage: Stage, kind: type[Make], provider: str
) -> None:
    at = 0
    while raced(stage, kind(provider="p-1", what="a"), at, provider):
        at += 1
    assert at > 4


@pytest.mark.slow
@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("provider", ["well", "reply lost", "request lost"])
def test_a_plan_cancelled_at_each_transaction(
    stage: Stage, provider: str, at: int
) -> None:
    """In three goes, to spread them: each takes every third."""
    command = mixed("a:stoppable", "b:marked", "c:plain:a")
    while raced(stage, command, at, provider):
        at += 3
    assert at > 12


def in_every_state(stage: Stage) -> tuple[Task, Any]:
    """A root with a part in each state, and the sender of the one that is sending."""
    root = stage.ask(
        mixed(
            "held:blind",
            "settled:plain",
            "bound:stoppable",
            "deaf:plain",
            "doubt:tagged",
            "sending:stoppable",
            "queued:plain",
            "after:plain:bound",
            "later:pair:bound",
            "pair:pair",
        )
    )
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    steps: list[Any] = [lose, stage.world.make]
    steps += [lambda what, ctx: races.go_on(stage, ctx)] * 2
    steps += [lose]
    for number, step in enumerate(steps):
        (claimed,) = stage.claim(limit=1)
        stage.world.on_send = step
        perform(stage.engine, claimed)
        if number < 2:
            stage.check()
    (claimed,) = stage.claim(limit=1)
    sender = intend_only(stage, claimed)
    stage.world.on_send = None
    now = by_key(stage)
    assert {key: effect_of(stage, now[key]).state for key in now if key in STATES} == (
        STATES
    )
    return root, sender


STATES = {
    "held": "held",
    "settled": "settled",
    "bound": "bound",
    "deaf": "bound",
    "doubt": "in_doubt",
    "sending": "sending",
    "queued": "planned",
    "after": "planned",
}


def test_a_plan_with_parts_in_every_state(stage: Stage) -> None:
    stops(stage)
    root, sender = in_every_state(stage)
    assert offered(stage, root) == "person"
    before = intents(stage)
    cancel(stage.engine, root.id, "ada")
    now = by_key(stage)
    for key in ("queued", "after", "later", "pair", "pair1", "pair2"):
        assert (now[key].outcome, now[key].cancelled_by) == ("cancelled", "ada"), key
        effect = effect_of(stage, now[key])
        assert effect is None or effect.state == "dropped"
    assert now["settled"].outcome == "ok"
    assert (now["held"].state, now["bound"].state) == ("held", "cancelling")
    assert stage.claim() == []

    stage.world.jobs[sender.effect_id] = Running(10, "going on")
    sender.bind(sender.effect_id)
    assert stage.task(now["sending"]).state == "cancelling"
    stage.check()
    stage.check()
    now = by_key(stage)
    assert sorted(stage.world.asked) == sorted(
        effect_of(stage, now[key]).external_id for key in ("bound", "sending")
    )
    assert (now["bound"].outcome, now["sending"].outcome) == ("cancelled", "cancelled")
    assert (now["doubt"].outcome, now["deaf"].state) == ("cancelled", "cancelling")
    stage.world.jobs[effect_of(stage, now["deaf"]).external_id] = Done("deaf!")
    stage.check()
    assert stage.task(now["deaf"]).outcome == "ok"

    assert stage.task(root).state == "cancelling"
    assert stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    honest(stage)
    resolve(stage.engine, now["held"].id, Decision.WATCH, "ada")
    ended = stage.task(root)
    assert (ended.outcome, ended.done) == ("cancelled", True)
    left = (ended.error or {})["left_behind"]
    assert len(left) == 5
    assert [line for line in left if line.startswith("perhaps")]
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    assert intents(stage) == before
    honest(stage)
