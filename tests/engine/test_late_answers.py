"""A late answer of a sender is evidence that counts, whoever waits meanwhile (rule 5,
invariant 2)."""

from typing import Any

import pytest

from earmark.domain.outcome import Done, Running
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.answer import Sent
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision, resolve
from tests.engine.races import (
    ALL,
    effect_of,
    evidence_of,
    honest,
    intend_only,
)
from tests.engine.world import Make, MakeBlindly, Stage


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in ALL:
        stage.engine.commands.register(command)
    return stage


def decide(stage: Stage, task: Task, what: Decision, **options: Any) -> Task:
    return resolve(stage.engine, task.id, what, "ada", **options)


def held_by_silence(stage: Stage) -> tuple[Task, Sent]:
    """Held, while its sender is only silent: it may still say what it heard."""
    task = stage.ask(MakeBlindly(provider="p-1", what="a"))
    (claimed,) = stage.claim("silent")
    sender = intend_only(stage, claimed)
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.check()
    assert stage.task(task).state == "held"
    return task, sender


def test_a_late_answer_ends_what_was_held(stage: Stage) -> None:
    """Evidence wakes the prober, whoever waits for a person (rule 5, invariant 2)."""
    task, sender = held_by_silence(stage)
    stage.world.jobs["job-7"] = Done("seven!")
    sender.bind("job-7")
    stage.check()
    stage.check()
    assert stage.task(task).result == "seven!"


def test_a_late_answer_counts_for_more_than_a_person(stage: Stage) -> None:
    task, sender = held_by_silence(stage)
    decide(stage, task, Decision.ABSENT)
    stage.world.jobs["job-7"] = Done("seven!")
    sender.bind("job-7")
    stage.work()
    assert stage.task(task).result == "seven!"


@pytest.mark.parametrize("decision", [Decision.SEND_AGAIN, Decision.WATCH])
def test_a_late_answer_after_the_decision(stage: Stage, decision: Decision) -> None:
    task, sender = held_by_silence(stage)
    decide(stage, task, decision)
    stage.world.jobs["job-7"] = Done("seven!")
    sender.bind("job-7")
    stage.work()
    honest(stage)
    assert any("job-7" in text for text in evidence_of(stage, task))
    if decision is Decision.WATCH:
        assert stage.task(task).outcome == "interrupted"
    else:
        assert stage.task(task).outcome == "ok"


def test_a_late_answer_to_what_waits_to_be_sent_again(stage: Stage) -> None:
    """It is adopted, and the worker that was to send it again does not."""
    task = stage.ask(Make(provider="p-1", what="a"))
    (claimed,) = stage.claim("silent")
    sender = intend_only(stage, claimed)
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.check()
    assert effect_of(stage, task).resend
    (again,) = stage.claim()
    stage.world.jobs["job-7"] = Running(5, "going on")
    sender.bind("job-7")
    stage.check()
    perform(stage.engine, again)
    for _ in range(3):
        stage.work()
    now = stage.task(task)
    assert (now.state, effect_of(stage, task).state) == ("waiting", "bound")
    assert stage.world.sent == []
    stage.world.jobs["job-7"] = Done("seven!")
    stage.work()
    assert stage.task(task).result == "seven!"


def test_the_same_before_it_was_claimed(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    (claimed,) = stage.claim("silent")
    sender = intend_only(stage, claimed)
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.check()
    stage.world.jobs["job-7"] = Running(5, "going on")
    sender.bind("job-7")
    stage.check()
    assert stage.claim() == []
    assert stage.task(task).state == "waiting"
