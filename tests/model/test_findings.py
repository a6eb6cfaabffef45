"""What the model demanded of the engine, and the engine did not do before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.connector import TOKEN_MARGIN, EffectClass
from earmark.domain.errors import RegistrationRefused
from earmark.domain.ids import derived_id
from earmark.domain.outcome import Done, Failed, Found
from earmark.domain.task import Task
from earmark.engine import describe, recover
from earmark.engine.cancel import cancel
from earmark.engine.judge import PlanAgain, Wait, judge, token_valid
from earmark.engine.plan import plan
from earmark.engine.runtime import Engine
from earmark.store.schema import sends
from earmark.store.schema import tasks as task_table
from tests.engine.test_judge import EFFECT, NOW, SENT, operation, sent
from tests.engine.world import Make, MakeTagged, Stage, World


class MakeSo(Make):
    """Class `absolute`: what shows the state counts, whoever brought it about."""

    title = "Make it {what}"
    operation = "absolute"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [Found(job) for job in ctx.connect(World).jobs]


class MakeSoAtOnce(MakeSo):
    """The same, and a look sees that the state is reached."""

    title = "Make it {what} at once"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [Found(job, done=Done("so")) for job in ctx.connect(World).jobs]


@pytest.fixture
def stage(engine: Engine) -> Stage:
    found = Stage(engine)
    for command in (MakeSo, MakeSoAtOnce):
        engine.commands.register(command)
    return found


def asleep(stage: Stage, kind: type[Make]) -> Task:
    """Its sender is silent, between the intent and the bytes, and others go on."""
    task = stage.ask(kind(provider="p-1", what="a"))
    (claimed,) = stage.claim("asleep")
    stage.intend(claimed)
    recover.worker_silent(stage.engine, "asleep", "it is not heard")
    return task


@pytest.mark.parametrize("effect", [EffectClass.TAG, EffectClass.ABSOLUTE])
def test_what_landed_last_may_not_be_listed_yet(effect: EffectClass) -> None:
    """It may land until the horizon, and be missing from the list for the lag after
    that (the model's "late listing")."""
    lag = timedelta(seconds=20)
    op = operation(effect, visibility_lag=lag)
    gone = [sent(NOW - timedelta(seconds=60))]
    shown = replace(EFFECT, seen_before=())
    assert isinstance(judge(shown, op, gone, [], NOW), Wait)
    assert isinstance(judge(shown, op, gone, [], NOW + lag), PlanAgain)


def test_a_token_outlives_its_last_request() -> None:
    life = timedelta(hours=1)
    way = timedelta(minutes=5)
    op = operation(EffectClass.TOKEN, token_life=life, max_in_flight=way)
    last = SENT + life - TOKEN_MARGIN - timedelta(seconds=1)
    assert not token_valid(EFFECT, op, last)


def test_an_absolute_effect_does_not_fail_while_a_request_may_land(
    stage: Stage,
) -> None:
    stage.world.jobs["a"] = Failed("not reached")
    task = asleep(stage, MakeSo)
    stage.work()
    assert stage.task(task).state == "waiting"


def test_nor_does_it_end_by_a_look(stage: Stage) -> None:
    stage.world.jobs["a"] = Done("so")
    task = asleep(stage, MakeSoAtOnce)
    stage.work()
    assert stage.task(task).state == "waiting"


def test_what_was_sent_before_the_copy_is_not_cancelled_as_unsent(stage: Stage) -> None:
    task = stage.ask(MakeTagged(provider="p-1", what="a"))
    token = derived_id(task.id, "effect")
    (claimed,) = stage.claim()
    put_back(stage, claimed)
    stage.world.jobs[token] = Done("from before")
    cancel(stage.engine, task.id, "somebody")
    stage.work()
    assert [effect.state for effect in stage.effects()] == ["settled"]


def test_nor_what_was_in_doubt_in_the_copy(stage: Stage) -> None:
    task = stage.ask(MakeTagged(provider="p-1", what="a"))
    (claimed,) = stage.claim()
    stage.intend(claimed)
    stage.kill()
    mark_restored(stage)
    past = {"over_at": sends.c.sent_at, "sent_at": sends.c.sent_at}
    stage.engine.write(lambda tx: tx.execute(sends.update().values(past)))
    cancel(stage.engine, task.id, "somebody")
    # Sent again after the copy was taken, and still on its way: nothing shows it.
    stage.check()
    assert [effect.state for effect in stage.effects()] != ["dropped"]


def test_recorded_absence_needs_a_list_without_lag() -> None:
    with pytest.raises(RegistrationRefused):
        operation(EffectClass.TASKS, visibility_lag=timedelta(seconds=5))


def mark_restored(stage: Stage) -> None:
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))


def put_back(stage: Stage, claimed: Task) -> None:
    """To a copy in which it is promised and nobody has claimed it."""
    plan(stage.engine, claimed, describe.load(stage.engine, claimed))

    def work(tx: Any) -> None:
        values = {"state": "queued", "attempt": 0, "restored": True}
        tx.execute(task_table.update().values(values))

    stage.engine.write(work)
