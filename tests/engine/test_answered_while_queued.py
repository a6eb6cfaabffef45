"""What waits for a worker to send it again is named by a late answer: whatever its look
comes to is written down, and what one effect comes to stands in no other's way (rules
4, 5, 9 and 13)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.command import Retry
from earmark.domain.errors import EarmarkError
from earmark.domain.outcome import Done, Failed, Found
from earmark.domain.task import Task
from earmark.engine import due, not_undone, poll, recover
from earmark.engine.cancel import cancel
from earmark.engine.due import Check
from earmark.engine.perform import perform
from tests.engine.races import effect_of, honest, intend_only
from tests.engine.test_undo import MakeUndone, Tower, Unmake, _bad_is_refused, tower
from tests.engine.world import Make, Stage

PATIENT = Retry(attempts=2, first=timedelta(0), on=frozenset({"provider-failed"}))


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(due, "ERROR_BUDGET", 2)
    monkeypatch.setattr(not_undone, "PATIENCE", PATIENT)
    for command in (Unmake, MakeUndone, Tower):
        stage.engine.commands.register(command)
    return stage


def silenced(stage: Stage, *claimed: Task) -> None:
    """They wait to be sent again, and then their first sends name their handles."""
    senders = [intend_only(stage, task) for task in claimed]
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.check()
    for task, sender in zip(claimed, senders, strict=True):
        assert stage.task(task).state == "queued"
        effect = effect_of(stage, task)
        assert effect.resend
        sender.bind(f"job of {effect.id}")


def asked(stage: Stage, kind: type[Make] = Make, count: int = 1) -> list[Task]:
    for _ in range(count):
        stage.ask(kind(provider="p-1", what="a"))
    claimed = stage.claim("silent")
    assert len(claimed) == count
    silenced(stage, *claimed)
    return claimed


def broken(token: str) -> list[Found]:
    raise EarmarkError("the list is broken")


def ended_badly(token: str) -> list[Found]:
    return [Found(f"job of {token}", mark=token, done=Failed("disk full"))]


def look(stage: Stage, find: Callable[[str], list[Found]], times: int = 3) -> None:
    world: Any = stage.world
    world.find = find
    for _ in range(times):
        stage.check()


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_look_that_never_succeeds_is_held(stage: Stage, cancelled: bool) -> None:
    (task,) = asked(stage)
    if cancelled:
        cancel(stage.engine, task.id, "ada")
    look(stage, broken)
    now, effect = stage.task(task), effect_of(stage, task)
    assert (now.state, effect.state, effect.resend) == ("held", "held", False)
    assert "Asking failed 2 times" in now.message
    assert stage.claim() == []
    honest(stage)


def test_a_bad_end_that_is_worth_another_try(stage: Stage) -> None:
    (task,) = asked(stage, stage.vary(Make, retry=PATIENT))
    look(stage, ended_badly)
    first, second = stage.effects()
    assert (first.state, first.ended_well) == ("settled", False)
    assert (second.state, second.replaces_id) == ("planned", first.id)
    assert stage.task(task).state == "queued"
    del stage.world.find
    stage.work()
    assert stage.task(task).outcome == "ok"
    honest(stage)


def test_a_step_of_an_undo_is_tried_again_and_held(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unmake, "operation", "token")
    stage.world.on_send = _bad_is_refused
    stage.ask(tower("a>bad"))
    for _ in range(2):
        step = _claimed_step(stage)
        silenced(stage, step)
        look(stage, ended_badly)
        del stage.world.find
    now = stage.task(step)
    assert (now.state, now.message) == ("held", "It could not be taken back: disk full")


def _claimed_step(stage: Stage) -> Task:
    """Work until a worker that says nothing has claimed a step of the undo."""
    for _ in range(20):
        for claimed in stage.claim("silent", limit=1):
            if claimed.undoes_id is not None:
                return claimed
            perform(stage.engine, claimed)
        stage.check()
    raise AssertionError(stage.tasks())


def test_what_cannot_be_written_of_one_stops_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a mistake of our own in one effect's error path."""
    first, second = asked(stage, count=2)
    stage.world.jobs[f"job of {effect_of(stage, second).id}"] = Done("seven!")
    failed_to_ask = due.failed_to_ask

    def find(token: str) -> list[Found]:
        return broken(token) if token == effect_of(stage, first).id else []

    def stumble(check: Check, error: Any) -> None:
        if check.task.id == first.id:
            raise ValueError("no such move")
        failed_to_ask(check, error)

    monkeypatch.setattr(poll, "failed_to_ask", stumble)
    look(stage, find)
    assert stage.task(second).result == "seven!"
    assert stage.task(first).state == "queued"
