"""Restored: the store is an older copy of itself. What it takes for unsent is asked
about before it is sent (rule 15). The restore is simulated: by the flag that it sets,
by what is at the provider already, and by taking rows away."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.ids import derived_id
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found
from earmark.domain.states import TaskState
from earmark.domain.task import Task
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.store.schema import (
    evidence,
    locks,
    sends,
    task_log,
    task_needs,
)
from earmark.store.schema import placeholders as placeholder_table
from earmark.store.schema import tasks as task_table
from tests.engine.races import ALL, effect_of, honest, mixed
from tests.engine.world import Make, MakeBlindly, MakeTagged, Stage, World


class MakeNamed(Make):
    """Class `identity`."""

    title = "Make {what} by name"
    operation = "identity"


class MakeSo(Make):
    """Class `absolute`: what shows the state counts, whoever brought it about."""

    title = "Make it {what}"
    operation = "absolute"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [Found(job) for job in ctx.connect(World).jobs]


class MakeAmong(MakeSo):
    """Class `tasks`: only a list of what goes on, which says not whose it is."""

    title = "Make {what} among others"
    operation = "tasks"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.what)]


PROVABLE: list[type[Make]] = [Make, MakeNamed, MakeTagged, MakeSo]
NOT_PROVABLE: list[type[Make]] = [MakeAmong, MakeBlindly]


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in (*ALL, MakeNamed, MakeSo, MakeAmong):
        stage.engine.commands.register(command)
    return stage


def restored(stage: Stage, kind: type[Make], *, landed: bool) -> Task:
    """A queued job of which the copy does not know whether it was sent."""
    task = stage.ask(kind(provider="p-1", what="a"))
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))
    if landed:
        stage.world.jobs[derived_id(task.id, "effect")] = Done("from before")
    return task


def horizon_passes(stage: Stage) -> None:
    """Simulated: no sender from before can send any more, and all has landed."""
    stage.engine.write(
        lambda tx: tx.execute(
            sends.update()
            .where(sends.c.sender_id == "restored")
            .values(over_at=tx.now - timedelta(minutes=1))
        )
    )


@pytest.mark.parametrize("kind", PROVABLE)
def test_what_landed_before_is_adopted_and_not_doubled(
    stage: Stage, kind: type[Make]
) -> None:
    task = restored(stage, kind, landed=True)
    stage.work()
    horizon_passes(stage)
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "from before")
    assert stage.world.sent == []


def test_that_there_is_nothing_to_do_may_be_its_own_doing(stage: Stage) -> None:
    """What it made before the restore is found, and finished once."""
    finished: list[str] = []
    kind = stage.vary(
        Make,
        prepare=lambda self, ctx: Done("there already"),
        finish=lambda self, tx, result: finished.append(result),
    )
    task = restored(stage, kind, landed=True)
    stage.work()
    assert (stage.task(task).outcome, finished) == ("ok", ["from before"])
    assert stage.world.sent == []


def test_nothing_to_do_is_asked_again_once_it_is_absent(stage: Stage) -> None:
    """There is no request to be sent: what the look before the restore said holds."""
    kind = stage.vary(MakeTagged, prepare=lambda self, ctx: Done("there already"))
    task = restored(stage, kind, landed=False)
    for _ in range(3):
        stage.work(rounds=3)
    horizon_passes(stage)
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "there already")
    assert stage.world.sent == []
    honest(stage)


@pytest.mark.parametrize("kind", [*PROVABLE, MakeAmong])
def test_what_did_not_land_is_sent_once_after_the_horizon(
    stage: Stage, kind: type[Make]
) -> None:
    task = restored(stage, kind, landed=False)
    for _ in range(3):
        stage.work(rounds=3)
    assert (stage.task(task).state, stage.world.sent) == ("waiting", [])
    honest(stage)
    horizon_passes(stage)
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])
    assert list(stage.world.jobs) == [derived_id(task.id, "effect")]


@pytest.mark.parametrize("landed", [True, False])
def test_what_nobody_can_be_asked_about_is_held(stage: Stage, landed: bool) -> None:
    task = restored(stage, MakeBlindly, landed=landed)
    stage.work()
    assert (stage.task(task).state, stage.world.sent) == ("held", [])


def test_in_a_list_of_tasks_it_may_be_any(stage: Stage) -> None:
    """What was there before the first send is not recorded any more: what is there now
    may be ours, so it is neither adopted nor sent again."""
    task = restored(stage, MakeAmong, landed=True)
    stage.work()
    horizon_passes(stage)
    stage.work()
    assert (stage.task(task).state, stage.world.sent) == ("held", [])


def test_a_lost_answer_after_that_is_doubt_as_ever(stage: Stage) -> None:
    task = restored(stage, MakeTagged, landed=False)
    stage.work()
    horizon_passes(stage)

    def send(what: str, ctx: Ctx) -> str:
        stage.world.make(what, ctx)
        raise ConnectionResetError("lost")

    stage.world.on_send = send
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])


@pytest.mark.parametrize("kind", [MakeTagged, MakeAmong, MakeSo])
def test_what_had_come_to_nothing_before_the_copy_is_asked_about_too(
    stage: Stage, kind: type[Make]
) -> None:
    """The first send got lost and was found absent, so it is promised again; then the
    copy was taken; then it was sent and landed, which the copy does not know."""

    def lost(what: str, ctx: Ctx) -> str:
        raise ConnectionResetError("lost")

    task = stage.ask(kind(provider="p-1", what="a"))
    stage.world.on_send = lost
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    while not stage.queued():
        stage.check()
    effect = effect_of(stage, task)
    assert effect is not None
    assert effect.state == "planned"
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))
    stage.world.on_send = None
    stage.world.jobs[effect.id] = Done("from before")
    stage.work()
    horizon_passes(stage)
    stage.work()
    assert stage.world.sent == ["a"], "only the one before the copy"
    assert (stage.task(task).outcome, stage.task(task).result) == ("ok", "from before")


def test_a_person_who_knows_of_the_restore_decides_once(stage: Stage) -> None:
    """It was held in the copy already."""

    def lost(what: str, ctx: Ctx) -> str:
        raise ConnectionResetError("lost")

    stage.world.on_send = lost
    task = stage.run(MakeBlindly(provider="p-1", what="a"))
    assert task.state == "held"
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))
    stage.world.on_send = None
    resolve(stage.engine, task.id, Decision.SEND_AGAIN, "eve")
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a", "a"])


PLAN = ("a:tagged", "b:tagged", "c:pair", "d:tagged:a")


def names(stage: Stage) -> dict[str, tuple[str, str]]:
    """Key → the task and its token."""
    found = {}
    for task in stage.tasks():
        effect = effect_of(stage, task)
        found[task.key] = (task.id, effect.id if effect else "")
    return found


def back_to_before_the_plan(stage: Stage, root: Task) -> None:
    """Simulated: the copy is from before the plan was made."""

    def work(tx: Any) -> None:
        for table in (evidence, sends, placeholder_table, task_needs, locks, task_log):
            tx.execute(table.delete())
        tx.execute(task_table.delete().where(task_table.c.id != root.id))
        tx.execute(
            task_table.update().values(
                state=TaskState.QUEUED, step="run", attempt=0, pending=0, restored=True
            )
        )

    stage.engine.write(work)


def test_a_plan_that_is_made_again_names_the_same_tokens(stage: Stage) -> None:
    root = stage.ask(mixed(*PLAN))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    before = names(stage)
    assert len({token for _, token in before.values() if token}) == 5
    back_to_before_the_plan(stage, root)
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    assert names(stage) == before
    assert all(task.restored for task in stage.tasks())


@pytest.mark.parametrize("landed", [("a",), ("a", "b"), ()])
def test_a_plan_whose_parts_were_sent_before(
    stage: Stage, landed: tuple[str, ...]
) -> None:
    root = stage.ask(mixed(*PLAN))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    tokens = names(stage)
    back_to_before_the_plan(stage, root)
    for key in landed:
        stage.world.jobs[tokens[key][1]] = Done("from before")
    for _ in range(4):
        stage.work()
        horizon_passes(stage)
    assert stage.task(root).outcome == "ok"
    assert sorted(stage.world.sent) == sorted({"a", "b", "c1", "c2", "d"} - {*landed})
    honest(stage)


def one_that_waits_for_another(stage: Stage) -> tuple[Task, Task]:
    """A plan of two in turn, put back: the first is queued, the second waits for it."""
    root = stage.ask(mixed("a:plain", "b:plain:a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    stage.engine.write(lambda tx: tx.execute(task_table.update().values(restored=True)))
    second = next(task for task in stage.tasks() if task.key == "b")
    return root, second


def all_passes(stage: Stage) -> None:
    for _ in range(4):
        stage.work()
        horizon_passes(stage)
    stage.work()


def test_one_that_waits_is_found_out_too_when_its_sibling_fails(stage: Stage) -> None:
    root, second = one_that_waits_for_another(stage)
    stage.world.on_poll = lambda job: Failed("disk full")
    token = effect_of(stage, stage.tasks()[1])
    assert token is not None
    stage.world.jobs[token.id] = Failed("disk full")
    stage.work()
    assert effect_of(stage, second).state == "in_doubt"
    all_passes(stage)
    assert (stage.task(root).outcome, stage.task(second).done) == ("failed", True)
    honest(stage)


def test_and_when_a_worker_is_lost_under_what_is_not_resumed(stage: Stage) -> None:
    """Nor does it stand in the way of what else is to be recovered."""
    root, second = one_that_waits_for_another(stage)
    failing = {"on_restart": "fail"}
    stage.engine.write(
        lambda tx: tx.execute(
            task_table.update().where(task_table.c.id == root.id).values(**failing)
        )
    )
    other = stage.ask(Make(provider="p-1", what="other"))
    assert len(stage.claim("lost")) == 2
    stage.kill("lost")
    assert stage.task(other).state == "queued"
    assert effect_of(stage, second).state == "in_doubt"
    all_passes(stage)
    assert (stage.task(root).outcome, stage.task(other).outcome) == ("failed", "ok")
    honest(stage)
