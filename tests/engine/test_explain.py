"""Whoever waits is told the truth about what for (invariant 10)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx
from earmark.domain.command import WhenLocked
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Running
from earmark.domain.task import Task
from earmark.engine.explain import WaitingFor, waiting_for
from earmark.engine.unheard import PATIENCE
from earmark.store import placeholders, schema, workers
from earmark.store.database import Transaction
from earmark.testing import invariants
from tests.engine.world import Make, MakeAll, MakeBlindly, Stage


def test_it_says_when_nobody_could_follow_a_job(stage: Stage) -> None:
    """Not "the provider has to finish", when no worker would notice that it did."""
    stage.world.on_poll = lambda job: Running(5)
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=2)

    def reason() -> str:
        now = stage.task(task)
        return stage.engine.read(lambda tx: waiting_for(tx, [now]))[task.id].text

    assert reason() == "no live worker in zone default"
    stage.hire("w-1", [["Other", 1]])
    assert reason() == "no live worker in zone default knows Make v1"
    stage.hire("w-2", [["Make", 1]])
    assert reason().startswith("scripted to finish")


def reason_of(stage: Stage, task: Task) -> WaitingFor | None:
    """As a face of its own shows it: with the place in the queue."""
    now = stage.task(task)
    found = stage.engine.read(lambda tx: waiting_for(tx, [now], places=True))
    return found.get(task.id)


def age(stage: Stage, table: sa.Table, column: str, one: str, by: timedelta) -> None:
    """Let a moment in a row be longer ago."""

    def work(tx: Transaction) -> None:
        here = table.c.id == one
        at = tx.execute(sa.select(table.c[column]).where(here)).scalar_one()
        tx.execute(sa.update(table).where(here).values({column: at - by}))

    stage.engine.write(work)


def everything(stage: Stage) -> list[list[Any]]:
    return [list(pair) for pair in stage.engine.commands.pairs()]


LONG = PATIENCE + timedelta(seconds=1)


def test_it_says_how_many_come_before(stage: Stage) -> None:
    stage.hire("w-1", everything(stage))
    tasks = [stage.ask(Make(provider="p-1", what=str(n))) for n in range(3)]
    stage.ask(Make(provider="p-1", what="urgent"), priority=1)
    ends = ["1 task is before it", "2 tasks are before it", "3 tasks are before it"]
    for task, end in zip(tasks, ends, strict=True):
        reason = reason_of(stage, task)
        assert reason is not None
        assert reason.kind == "turn"
        assert reason.text.endswith(end)
    stage.claim("w-1", limit=2)
    reason = reason_of(stage, tasks[1])
    assert reason is not None
    assert reason.text.endswith("it is the next one")


@pytest.mark.parametrize(
    ("crew", "end"),
    [
        ([["*"]], "2 tasks are before it"),
        ([["a", "operations"]], "1 task is before it"),
        ([["*"], ["a", "operations"]], "1 task is before it"),
        ([["*"], ["operations"]], "it is the next one"),
        ([["a"], ["operations"]], "it is the next one"),
    ],
)
def test_what_the_same_workers_do_first_comes_before(
    stage: Stage, crew: list[list[str]], end: str
) -> None:
    """Whichever of those who could do it comes next, it does that before."""
    for number, roles in enumerate(crew):
        stage.hire(f"w-{number}", everything(stage), roles)
    others = [stage.ask(Make(provider="p-1", what=str(n))) for n in range(2)]
    task = stage.ask(Make(provider="p-1", what="last"))

    def give_roles(tx: Transaction) -> None:
        for other, role in zip(others, "ab", strict=True):
            here = schema.tasks.c.id == other.id
            tx.execute(sa.update(schema.tasks).where(here).values(role=role))

    stage.engine.write(give_roles)
    reason = reason_of(stage, task)
    assert reason is not None
    assert reason.text.endswith(end)


def test_what_is_to_be_tried_later_is_nobodys_obstacle(stage: Stage) -> None:
    stage.hire("w-1", everything(stage))
    paused, task = (stage.ask(Make(provider="p-1", what=it)) for it in "ab")
    age(stage, schema.tasks, "run_after", paused.id, -timedelta(hours=1))
    reason = reason_of(stage, paused)
    assert reason is not None
    assert (reason.kind, reason.next_check) == ("later", stage.task(paused).run_after)
    reason = reason_of(stage, task)
    assert reason is not None
    assert reason.text.endswith("it is the next one")


def test_it_says_when_the_worker_is_not_heard(stage: Stage) -> None:
    stage.hire("w-1", everything(stage))
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.claim("w-1")
    assert reason_of(stage, task) is None, "it is being carried out"
    age(stage, schema.workers, "seen_at", "w-1", workers.QUIET + LONG)
    reason = reason_of(stage, task)
    assert reason is not None
    assert reason.kind == "worker"
    assert "worker h:1, which is not heard any more: no live worker" in reason.text
    stage.hire("w-2", everything(stage))
    reason = reason_of(stage, task)
    assert reason is not None
    assert reason.text.endswith("another one takes over")


def test_it_says_when_a_call_takes_long(stage: Stage) -> None:
    stage.hire("w-1", everything(stage))
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.claim("w-1")
    age(stage, schema.tasks, "updated_at", task.id, LONG)
    now = stage.task(task)
    assert reason_of(stage, task) == WaitingFor(
        "call", "scripted to answer", now.updated_at, now.deadline_at
    )


def bound(stage: Stage) -> tuple[Task, str]:
    """A job that goes on, and its placeholder."""
    stage.hire("w-1", everything(stage))
    stage.world.on_poll = lambda job: Running(5)
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=2)
    effect = stage.engine.read(lambda tx: placeholders.of_task(tx, task.id))
    assert effect is not None
    return task, effect.id


def test_it_says_since_when_a_provider_has_not_answered(stage: Stage) -> None:
    task, _ = bound(stage)

    def silent(job: str) -> Running:
        raise TimeoutError("no answer")

    stage.world.on_poll = silent
    for _ in range(3):
        stage.check()
    told = reason_of(stage, task)
    assert told is not None
    assert told.text == "scripted to answer; it has not for 3 questions"
    assert stage.check()
    later = reason_of(stage, task)
    assert later is not None
    assert later.since == told.since, "since the first of them, not the last"


def test_it_says_when_nothing_is_heard_of_a_question(stage: Stage) -> None:
    task, effect_id = bound(stage)
    reason = reason_of(stage, task)
    assert reason is not None
    assert "to finish" in reason.text
    age(stage, schema.placeholders, "next_check_at", effect_id, LONG)
    reason = reason_of(stage, task)
    assert reason is not None
    assert reason.text == "scripted to answer; nothing is heard"


def test_it_names_the_task_in_the_way(stage: Stage) -> None:
    patient = stage.vary(MakeAll, when_locked=WhenLocked.QUEUE)
    stage.world.on_poll = lambda job: Running(5)
    holder = stage.ask(MakeAll(provider="p-1", whats=("a",)))
    stage.work(rounds=3)
    task = stage.ask(patient(provider="p-1", whats=("b",)))
    stage.work(rounds=3)
    reason = reason_of(stage, task)
    assert reason is not None
    assert (reason.kind, reason.task) == ("lock", holder.id)


class Locked(MakeBlindly):
    """The same, alone with its object."""

    title = "Make {what} alone"
    when_locked = WhenLocked.QUEUE

    def locks(self) -> Sequence[Lock]:
        return [exclusive("things", self.what[0]), exclusive("things", self.what[-1])]


def lost(what: str, ctx: Ctx) -> str:
    raise TimeoutError("no answer")


def test_who_queues_behind_what_is_held_waits_for_that_person(stage: Stage) -> None:
    """However many stand between them; for the rest nothing of the engine is stuck."""
    stage.engine.commands.register(Locked)
    stage.world.on_send = lost
    held = stage.run(Locked(provider="p-1", what="a b"))
    assert held.state == "held"
    first = stage.run(Locked(provider="p-1", what="b c"))
    second = stage.run(Locked(provider="p-1", what="c d"))
    assert (first.state, second.state) == ("waiting", "waiting")
    reason = reason_of(stage, first)
    assert reason is not None
    assert (reason.kind, reason.who, reason.task) == ("lock", "person", held.id)
    assert reason.text.endswith(", which is held: a person must decide")
    behind = reason_of(stage, second)
    assert behind is not None
    assert (behind.who, behind.task) == ("engine", first.id)
    assert invariants.unended(stage.engine) == []
