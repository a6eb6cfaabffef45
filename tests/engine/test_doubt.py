"""Doubt and its ends: nothing is guessed, nothing final is wrong (rules 2 to 8)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.command import Command, Retry
from earmark.domain.errors import NotSent, Refused
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.task import Task
from earmark.engine import describe, recover
from earmark.engine.answer import Sent
from earmark.engine.cancel import cancel
from earmark.engine.due import ERROR_BUDGET
from earmark.engine.perform import perform
from earmark.engine.plan import plan
from earmark.engine.send import intend
from earmark.store import locks, placeholders
from tests.engine.world import (
    Make,
    MakeAll,
    MakeBadly,
    MakeBlindly,
    MakeTagged,
    Stage,
)


def make(kind: type[Make] = Make) -> Command[Any]:
    return kind(provider="p-1", what="a")


def lose_the_reply(stage: Stage, *, landed: bool) -> None:
    def send(what: str, ctx: Ctx) -> str:
        stage.world.on_send = None
        if landed:
            stage.world.make(what, ctx)
        raise ConnectionResetError("the line went dead")

    stage.world.on_send = send


@pytest.mark.parametrize("kind", [Make, MakeTagged])
@pytest.mark.parametrize(("landed", "sends"), [(True, 1), (False, 2)])
def test_a_lost_reply_is_asked_about(
    stage: Stage, kind: type[Make], landed: bool, sends: int
) -> None:
    lose_the_reply(stage, landed=landed)
    ended = stage.run(make(kind))
    assert (ended.outcome, ended.result) == ("ok", "a!")
    assert len(stage.world.sent) == sends
    assert len(stage.world.jobs) == 1
    (effect,) = stage.effects()
    assert effect.state == "settled"


@pytest.mark.parametrize("landed", [True, False])
def test_class_none_is_held_and_keeps_its_lock(stage: Stage, landed: bool) -> None:
    lose_the_reply(stage, landed=landed)
    held = stage.run(make(MakeBlindly))
    assert (held.state, held.outcome, len(stage.world.sent)) == ("held", None, 1)
    (effect,) = stage.effects()
    seen = stage.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    assert [row.kind for row in seen] == ["sending", "doubt", "held"]
    assert "the line went dead" in seen[1].text


def test_not_sent_is_tried_again_and_then_fails(stage: Stage) -> None:
    def refuse(what: str, ctx: Ctx) -> str:
        raise NotSent("no route")

    stage.world.on_send = refuse
    ended = stage.run(make())
    assert (ended.outcome, len(stage.world.sent)) == ("failed", 3)
    assert "Tried 3 times" in ended.message
    assert stage.effects()[0].state == "dropped"


def test_refused_is_definite_the_first_time(stage: Stage) -> None:
    def refuse(what: str, ctx: Ctx) -> str:
        raise Refused("quota", code="quota")

    stage.world.on_send = refuse
    ended = stage.run(make())
    assert (ended.outcome, ended.error and ended.error["code"]) == ("failed", "quota")
    assert stage.effects()[0].state == "refused"


def test_refused_when_sent_again_proves_nothing(stage: Stage) -> None:
    """The no may be to the second request because the first one landed."""
    answers = [ConnectionResetError("lost"), Refused("there is one already")]

    def send(what: str, ctx: Ctx) -> str:
        if len(answers) == 1:
            stage.world.make(what, ctx)
        raise answers.pop(0)

    stage.world.on_send = send
    ended = stage.run(make())
    assert (ended.outcome, ended.result) == ("ok", "a!")
    assert stage.world.sent == ["a", "a"]


def lose_then_refuse(stage: Stage) -> None:
    """The first request's answer is lost; whatever comes after it is refused."""

    def send(what: str, ctx: Ctx) -> str:
        if len(stage.world.sent) == 1:
            raise ConnectionResetError("lost")
        raise Refused("no room", code="quota")

    stage.world.on_send = send


def test_a_refusal_is_definite_once_nothing_else_can_land(stage: Stage) -> None:
    """Asking a third time would be told no a third time."""
    lose_then_refuse(stage)
    ended = stage.run(make())
    assert (ended.outcome, ended.error and ended.error["code"]) == ("failed", "quota")
    assert "no room" in ended.message
    assert stage.world.sent == ["a", "a"]
    assert [effect.state for effect in stage.effects()] == ["refused"]


def test_a_definite_refusal_of_a_resend_is_tried_anew(stage: Stage) -> None:
    """As the policy says of any definite failure: with a token of its own."""
    lose_then_refuse(stage)
    patient = stage.vary(
        Make, retry=Retry(3, first=timedelta(0), on=frozenset({"quota"}))
    )
    task = stage.ask(make(patient))
    stage.work()
    states = sorted(effect.state for effect in stage.effects())
    assert states == ["refused", "refused"]
    assert stage.task(task).outcome == "failed"


def test_a_refused_resend_waits_for_what_may_still_land(
    stage: Stage, slow_way: None
) -> None:
    """Invariant 4: the first request is on its way; it is not ended, nor sent again."""
    lose_then_refuse(stage)
    task = stage.ask(make())
    stage.work()
    assert (stage.task(task).state, stage.world.sent) == ("waiting", ["a", "a"])
    (effect,) = stage.effects()
    stage.world.jobs[effect.id] = Done("a!")
    stage.work()
    assert (stage.task(task).outcome, stage.task(task).result) == ("ok", "a!")


def test_a_cancel_of_what_was_refused_again_is_a_cancel(stage: Stage) -> None:
    lose_then_refuse(stage)
    task = stage.ask(make())
    stage.work(rounds=1)
    cancel(stage.engine, task.id, "ada")
    stage.work()
    assert stage.task(task).outcome == "cancelled"


def test_nonsense_from_poll_is_an_error_of_the_poll(stage: Stage) -> None:
    stage.world.on_poll = lambda job: "42"  # type: ignore[assignment,return-value]
    held = stage.run(make())
    for _ in range(ERROR_BUDGET):
        stage.check()
    held = stage.task(held)
    assert held.state == "held"
    assert "returned '42'" in held.message


def no_answer(job: str) -> Any:
    raise TimeoutError("no answer")


def no_answer_in_a_librarys_words(job: str) -> Any:
    try:
        raise ConnectionRefusedError("refused")
    except OSError as error:
        raise RuntimeError("a library's own error") from error


@pytest.mark.parametrize("silent", [no_answer, no_answer_in_a_librarys_words])
def test_an_unreachable_provider_uses_up_no_patience(
    stage: Stage, silent: Callable[[str], Any]
) -> None:
    stage.world.on_poll = silent
    task = stage.ask(make())
    for _ in range(3 * ERROR_BUDGET):
        stage.work(rounds=1)
    assert stage.task(task).state == "waiting"
    stage.world.on_poll = None
    stage.work()
    assert stage.task(task).outcome == "ok"


def test_not_every_error_of_the_system_is_a_silent_provider(stage: Stage) -> None:
    """A file that is missing is missing tomorrow, too: a person is asked."""

    def no_key(job: str) -> Any:
        raise FileNotFoundError("no key here")

    stage.world.on_poll = no_key
    task = stage.ask(make())
    for _ in range(ERROR_BUDGET + 1):
        stage.work(rounds=1)
    held = stage.task(task)
    assert (held.state, "no key here" in held.message) == ("held", True)


def test_an_unknown_job_is_not_a_failed_one(stage: Stage) -> None:
    task = stage.ask(make())
    stage.work(rounds=0)
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    stage.world.jobs.clear()
    stage.work()
    held = stage.task(task)
    assert held.state == "held"
    # Not "its own": the id may be one that a person adopted.
    assert held.message.startswith("The provider does not know ")
    assert held.message.endswith(", nor shows it.")
    assert len(stage.world.sent) == 1


def test_a_failed_job_is_a_failed_task(stage: Stage) -> None:
    stage.world.on_poll = lambda job: Failed("disk full", "enospc")
    ended = stage.run(make())
    assert ended.error is not None
    assert (ended.error["code"], ended.error["message"]) == ("enospc", "disk full")


def test_a_failed_job_names_what_it_may_have_left(stage: Stage) -> None:
    """Half a copy costs as much as a whole one, and nobody takes this one back."""
    stage.world.on_poll = lambda job: Failed("disk full", "enospc")
    ended = stage.run(make())
    (effect,) = stage.effects()
    (left,) = (ended.error or {})["left_behind"]
    assert left == f"perhaps a part of {effect.external_id} at scripted (“Make a”)"
    assert ended.message == f"disk full. Left behind: {left}."


def test_a_finish_that_raises_fails_and_names_what_is_there(stage: Stage) -> None:
    ended = stage.run(make(MakeBadly))
    (effect,) = stage.effects()
    assert (ended.outcome, effect.state) == ("failed", "settled")
    assert ended.error is not None
    assert ended.error["left_behind"] == ["a! at scripted (“Make a, badly”)"]


def test_the_first_failure_fixes_the_verdict_and_the_parent_ends_last(
    stage: Stage,
) -> None:
    def jobs(job: str) -> Any:
        (what,) = [e.id for e in stage.effects() if e.external_id == job]
        if what == stage.effects()[0].id:
            return Failed("no")
        return Done("made") if stage.task(root).verdict else Running(50)

    stage.world.on_poll = jobs
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b"), join=True))
    stage.work()
    parent, first, second, join = stage.tasks()
    assert (first.outcome, second.outcome) == ("failed", "ok")
    assert (join.outcome, join.attempt) == ("cancelled", 0)
    assert (parent.outcome, parent.verdict) == ("failed", "failed")
    assert parent.finished_at
    assert second.finished_at
    assert parent.finished_at >= second.finished_at
    assert parent.error is not None
    half, whole = parent.error["left_behind"]
    assert half.startswith("perhaps a part of ")
    assert whole == "made at scripted (“Make b”)"
    assert f"{parent.error['message'].rstrip('.')}. Left behind: " in parent.message
    assert [e.state for e in stage.effects()] == ["settled", "settled", "dropped"]
    assert not stage.engine.read(lambda tx: locks.on(tx, "things", "p-1"))


def test_progress_rolls_up_and_never_says_done_before_the_end(stage: Stage) -> None:
    stage.world.on_poll = lambda job: Running(100, "nearly")
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work(rounds=3)
    assert stage.task(root).progress == 99


def intended(stage: Stage, kind: type[Make]) -> tuple[Task, Sent]:
    """A claimed task whose intent is committed, and whose sender then fell silent."""
    task = stage.ask(make(kind))
    (claimed,) = stage.claim("silent-worker")
    command = describe.load(stage.engine, claimed)
    assert isinstance(command, Make)
    claimed = plan(stage.engine, claimed, command)
    effect = stage.engine.read(lambda tx: placeholders.of_task(tx, claimed.id))
    assert effect is not None
    operation = stage.engine.operation(stage.provider, effect.operation)
    effect = intend(stage.engine, claimed, effect, operation, None)
    assert effect is not None
    nonce = str(effect.nonce)
    sent = Sent(stage.engine, claimed, command, effect.id, nonce, in_doubt_before=False)
    return task, sent


def test_a_late_answer_is_proof_for_whoever_asks(stage: Stage) -> None:
    """Class tag, nothing found by mark: the late reply of our own send names it."""
    task, sending = intended(stage, MakeTagged)
    assert recover.worker_silent(stage.engine, "silent-worker", "not heard") == 1
    stage.work()
    assert stage.effects()[0].state == "in_doubt"
    stage.world.jobs["job-7"] = Done("late!")
    sending.bind("job-7")
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "late!")
    assert stage.world.sent == []


def test_silence_is_not_death_but_proof_is(stage: Stage) -> None:
    task, _ = intended(stage, MakeTagged)
    recover.worker_silent(stage.engine, "silent-worker", "not heard")
    stage.work()
    assert (stage.task(task).state, stage.world.sent) == ("waiting", [])
    recover.worker_gone(stage.engine, "silent-worker", "its process is gone")
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])


def test_what_kills_its_workers_again_and_again_ends(stage: Stage) -> None:
    task = stage.ask(make())
    for number in range(recover.MOST_RECOVERIES + 1):
        worker = f"w-{number}"
        assert len(stage.claim(worker)) == 1
        assert recover.worker_gone(stage.engine, worker, "it died") == 1
    ended = stage.task(task)
    assert (ended.outcome, ended.error and ended.error["code"]) == ("failed", "poison")


def test_two_of_ours_is_one_and_an_orphan_that_is_told(stage: Stage) -> None:
    task, sending = intended(stage, MakeTagged)
    token = sending.effect_id
    stage.world.jobs |= {"one": Done("1"), "two": Done("2")}
    both = [Found("one", mark=token), Found("two", mark=token)]
    stage.world.find = lambda token: both  # type: ignore[method-assign]
    recover.worker_gone(stage.engine, "silent-worker", "gone")
    stage.work()
    assert stage.task(task).result == "1"
    seen = stage.engine.read(lambda tx: placeholders.evidence_of(tx, token))
    assert ["two" in row.text for row in seen if row.kind == "orphan"] == [True]
