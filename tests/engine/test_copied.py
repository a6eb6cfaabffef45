"""A copy of a database, used beside the original, leaves to it what had not ended when
it was made: neither sends, stops or takes back what is the other's (rule 17)."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx
from earmark.domain.errors import Refused
from earmark.domain.outcome import Running
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.cancel import cancel
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from earmark.engine.retry import retry
from earmark.store import copied, schema
from earmark.store.migrate import installation_id
from earmark.testing import invariants
from tests.engine import races
from tests.engine.test_undo import MakeUndone, Tower, Unmake
from tests.engine.world import Make, MakeBlindly, Stage, World

#: Of a whole that is the original's, what can be taken back is the original's affair.
NOT_HERE = "what can be taken back is"


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in (*races.ALL, MakeUndone, Unmake, Tower):
        stage.engine.commands.register(command)
    return stage


def disown(stage: Stage) -> copied.Disowned:
    file = stage.engine.database.file
    return stage.engine.write(lambda tx: copied.disown(tx, file, "ada"))


def _on_send(what: str, ctx: Ctx) -> str:
    if what == "bad":
        raise Refused("no room")
    if what in ("held", "watched"):
        raise ConnectionResetError("the line went dead")
    world = ctx.connect(World)
    world.make(what, ctx)
    if what in ("bound", "cancelled", "-b"):
        world.jobs[ctx.token] = Running(40, "copying")
    return ctx.token


def at_work(stage: Stage) -> Mapping[str, Task]:
    """A root in each state in which a copy may find one."""
    stage.world.on_send = _on_send
    unlocked = stage.vary(races.MakeStoppably, locks=lambda self: [])
    kinds: Mapping[str, Any] = {
        "bound": Make,
        "held": MakeBlindly,
        "watched": MakeBlindly,
        "cancelled": unlocked,
    }
    roots = {
        what: stage.ask(kind(provider="p-1", what=what)) for what, kind in kinds.items()
    }
    roots["undoing"] = stage.ask(Tower(provider="p-1", plan="a>b>bad"))
    stage.work()
    resolve(stage.engine, roots["watched"].id, Decision.WATCH, "ada")
    cancel(stage.engine, roots["cancelled"].id, "ada")
    roots["plan"] = stage.ask(races.mixed("one:plain", "two:plain:one"))
    perform(stage.engine, stage.claim()[0])
    stage.hire("w-1", [])
    (running,) = stage.claim()
    stage.intend(running)
    roots["queued"] = stage.ask(Make(provider="p-1", what="queued"))
    states = {name: str(stage.task(task).state) for name, task in roots.items()}
    assert states == {
        "bound": "waiting",
        "held": "held",
        "watched": "done",
        "cancelled": "cancelling",
        "undoing": "undoing",
        "plan": "waiting",
        "queued": "queued",
    }
    assert {"planned", "sending", "bound", "held", "watched"} <= states_of(stage)
    return roots


def states_of(stage: Stage) -> set[str]:
    return {effect.state for effect in stage.effects()}


def rows(stage: Stage, table: sa.Table) -> list[Any]:
    return list(stage.engine.read(lambda tx: tx.execute(sa.select(table)).all()))


def test_what_had_not_ended_is_left_to_the_original(stage: Stage) -> None:
    roots = at_work(stage)
    original = installation_id(stage.engine.database)
    before = stage.task(roots["watched"])
    open_ = [task.id for task in stage.tasks() if not task.done]
    asked = (list(stage.world.sent), list(stage.world.asked))
    polled: list[str] = []
    stage.world.on_poll = polled.append  # type: ignore[assignment]

    done = disown(stage)
    assert (done.was, done.tasks) == (original, len(open_))
    assert installation_id(stage.engine.database) == done.now != original
    recover.left_by_the_gone(stage.engine)
    stage.work()

    assert (stage.world.sent, stage.world.asked, polled) == (*asked, [])
    ended = {task.id: task for task in stage.tasks()}
    for one in open_:
        assert (ended[one].state, ended[one].outcome) == ("done", "interrupted")
        assert (ended[one].error or {})["code"] == copied.CODE
        assert f"Installation {original}, the original" in ended[one].message
    assert stage.task(roots["watched"]) == before, "a final state is final"
    assert states_of(stage) == {"elsewhere", "settled", "refused"}
    assert rows(stage, schema.locks) == rows(stage, schema.lock_queue) == []
    broken = invariants.broken(stage.engine)
    assert [it for it in broken if not it.startswith(NOT_HERE)] == []
    (noted,) = [it for it in rows(stage, schema.audit) if it.action == "copied"]
    assert noted.data == {"was": original, "now": done.now, "tasks": done.tasks}


def test_what_is_asked_for_again_is_the_copys_own(stage: Stage) -> None:
    roots = at_work(stage)
    old = stage.task(roots["bound"])
    disown(stage)
    stage.world.on_send = None
    new = retry(stage.engine, old.id, "ada")
    stage.work()
    assert stage.task(new).outcome == "ok"
    tokens = {effect.task_id: effect.id for effect in stage.effects()}
    assert tokens[new.id] != tokens[old.id]


def test_a_new_epoch_alarms_nobody(stage: Stage) -> None:
    """Nothing of it is unfinished, so that nothing is to be asked about."""
    at_work(stage)
    disown(stage)
    assert not any(row.restored for row in rows(stage, schema.tasks))
