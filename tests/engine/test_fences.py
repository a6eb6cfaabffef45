"""Who is late changes nothing, and what is sent again is what was sent before (rules 5
and 14, invariants 2, 7 and 9)."""

from dataclasses import replace
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.errors import NotSent, Refused, Stale
from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.answer import Sent
from earmark.engine.wait import wait
from earmark.store import placeholders, tasks
from tests.engine.races import effect_of, evidence_of, intend_only
from tests.engine.world import Make, Stage


def sent_twice(stage: Stage) -> tuple[Task, Sent, Sent]:
    """A sender is silent, another sends the same again, and both may still answer."""
    task = stage.ask(Make(provider="p-1", what="a"))
    (claimed,) = stage.claim("silent")
    first = intend_only(stage, claimed)
    recover.worker_silent(stage.engine, "silent", "not heard")
    stage.check()
    (claimed,) = stage.claim("w-2")
    return task, first, intend_only(stage, claimed)


def test_an_answer_is_one_to_its_own_send(stage: Stage) -> None:
    task, first, second = sent_twice(stage)
    first.bind("job-1")
    assert effect_of(stage, task).state == "sending"
    assert evidence_of(stage, task)[-1] == "A late answer named job-1."
    first.refuse(Refused("no room"))
    assert effect_of(stage, task).state == "sending"
    assert evidence_of(stage, task)[-1] == "A late send was refused: no room"
    second.bind("job-2")
    assert effect_of(stage, task).external_id == "job-2"


def test_that_a_resend_did_not_leave_says_nothing_of_the_first(stage: Stage) -> None:
    task, _, second = sent_twice(stage)
    second.not_sent(NotSent("no route"))
    assert effect_of(stage, task).state == "in_doubt"


def test_of_two_that_read_the_same_effect_one_writes(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    (claimed,) = stage.claim()
    intend_only(stage, claimed).bind("job-1")
    read = effect_of(stage, task)
    stage.engine.write(lambda tx: placeholders.change(tx, read, checks=7))
    settled = PlaceholderState.SETTLED
    with pytest.raises(Stale):
        stage.engine.write(lambda tx: placeholders.move(tx, read, settled))
    with pytest.raises(Stale):
        stage.engine.write(lambda tx: placeholders.change(tx, read, checks=0))
    assert (effect_of(stage, task).state, effect_of(stage, task).checks) == ("bound", 7)


def test_an_earlier_attempt_writes_nothing(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    (earlier,) = stage.claim("silent")
    recover.worker_silent(stage.engine, "silent", "not heard")
    (later,) = stage.claim("w-2")
    assert (later.state, later.attempt) == (earlier.state, earlier.attempt + 1)
    with pytest.raises(Stale):
        stage.engine.write(lambda tx: tasks.move(tx, earlier, TaskState.QUEUED))
    assert stage.task(task).worker_id == "w-2"


def test_what_has_ended_is_written_no_more(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.work()
    ended = stage.task(task)
    # As somebody read it just before, in the attempt that ended it.
    before = replace(ended, state=TaskState.WAITING)
    with pytest.raises(Stale):
        stage.engine.write(lambda tx: tasks.move(tx, before, TaskState.QUEUED))
    assert stage.task(task) == ended


def test_what_is_sent_again_is_what_was_sent_before(stage: Stage) -> None:
    """The same token, the same stored request; and since when it may have landed."""
    said: list[tuple[str, Any, Any]] = []

    def prepare(self: Make, ctx: Ctx) -> Any:
        return {"prepared": len(said)}

    def send(self: Make, ctx: Ctx) -> str:
        said.append((ctx.token, ctx.request, ctx.sent_at))
        if len(said) == 1:
            raise ConnectionResetError("the line went dead")
        return stage.world.make(self.what, ctx)

    kind = stage.vary(Make, prepare=prepare, send=send)
    assert stage.run(kind(provider="p-1", what="a")).outcome == "ok"
    first, again = said
    assert first == again
    assert first[1] == {"prepared": 0}


def test_a_waiter_only_reads(stage: Stage) -> None:
    """Its time is over, and nothing became of the task by that (invariant 7)."""
    task = stage.ask(Make(provider="p-1", what="a"))
    seen = wait(stage.engine, task.id, timeout=0)
    assert seen == stage.task(task)
    assert seen.state == "queued"
