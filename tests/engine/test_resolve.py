"""Held: what a person decides is carried out, checked, and never guessed (rules 3, 4,
5, invariants 3, 10)."""

from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.errors import BadInput, Refused, Rejected
from earmark.domain.lock import exclusive
from earmark.domain.mark import Mark
from earmark.domain.outcome import Done, Found, Running
from earmark.domain.task import Task
from earmark.engine import recover
from earmark.engine.cancel import cancel
from earmark.engine.due import ERROR_BUDGET
from earmark.engine.explain import waiting_for
from earmark.engine.resolve import Decision, choices, resolve
from earmark.store import locks
from earmark.store.schema import placeholders as placeholder_table
from tests.engine import races
from tests.engine.races import (
    ALL,
    by_key,
    effect_of,
    evidence_of,
    held,
    honest,
    mixed,
)
from tests.engine.world import Make, MakeBlindly, Stage, World


class MakeAmong(Make):
    """A task that only the provider's list of tasks shows; class `tasks`."""

    title = "Make {what} among others"
    operation = "tasks"

    def locks(self) -> Any:
        return [exclusive("thing", self.what)]

    def find(self, ctx: Ctx) -> list[Found]:
        return [Found(job) for job in ctx.connect(World).jobs]


class MakeAlone(MakeBlindly):
    """Locks what it makes."""

    title = "Make {what} alone"

    def locks(self) -> Any:
        return [exclusive("thing", self.what)]


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in (*ALL, MakeAmong, MakeAlone):
        stage.engine.commands.register(command)
    return stage


def decide(stage: Stage, task: Task, what: Decision, **options: Any) -> Task:
    return resolve(stage.engine, task.id, what, "ada", **options)


def buttons(stage: Stage, task: Task) -> list[Decision]:
    now = stage.task(task)
    return [one.decision for one in choices(now, effect_of(stage, task))]


def held_within(stage: Stage) -> tuple[Task, Task]:
    """A held part, beside one that goes on and one that comes after both."""
    root = stage.ask(mixed("held:blind", "other:plain", "after:plain:held"))
    stage.world.on_send = lambda what, ctx: (
        races.lose(what, ctx) if what == "held" else races.go_on(stage, ctx)
    )
    stage.work(rounds=3)
    stage.world.on_send = None
    part = by_key(stage)["held"]
    assert part.state == "held"
    return root, part


def the_other_ends(stage: Stage) -> None:
    job = effect_of(stage, by_key(stage)["other"]).external_id
    stage.world.jobs[job] = Done("other!")
    stage.work()


def test_adopt_follows_it_to_its_end(stage: Stage) -> None:
    task = held(stage)
    stage.world.jobs["job-7"] = Running(40, "going on")
    now = decide(stage, task, Decision.ADOPT, external_id="job-7")
    assert (now.state, buttons(stage, task)) == ("waiting", [])
    stage.check()
    assert stage.task(task).progress == 40
    stage.world.jobs["job-7"] = Done("seven!")
    stage.check()
    assert stage.task(task).result == "seven!"
    assert stage.world.sent == ["a"]


def test_adopt_of_what_the_provider_does_not_know_is_held_again(stage: Stage) -> None:
    task = held(stage)
    decide(stage, task, Decision.ADOPT, external_id="nonsense")
    stage.work()
    again = stage.task(task)
    assert (again.state, again.outcome) == ("held", None)
    assert evidence_of(stage, task)[-2:-1] == ["no such job"]
    assert len(buttons(stage, task)) == 4


def test_adopt_of_another_tasks_is_refused(stage: Stage) -> None:
    other = stage.run(MakeBlindly(provider="p-1", what="b"))
    theirs = effect_of(stage, other).external_id
    task = held(stage)
    with pytest.raises(Rejected, match="belongs to another task") as refused:
        decide(stage, task, Decision.ADOPT, external_id=theirs)
    assert refused.value.code == "not-ours"
    assert len(buttons(stage, task)) == 4
    assert "decided" not in "".join(evidence_of(stage, task))


def test_a_decision_needs_what_belongs_to_it(stage: Stage) -> None:
    task = held(stage)
    with pytest.raises(BadInput, match="which id"):
        decide(stage, task, Decision.ADOPT, external_id=" ")
    with pytest.raises(BadInput, match="adopt alone"):
        decide(stage, task, Decision.WATCH, external_id="job-7")
    assert stage.task(task).state == "held"


def test_absent_is_checked_and_then_believed(stage: Stage) -> None:
    task = held(stage)
    asked = decide(stage, task, Decision.ABSENT)
    assert (asked.state, asked.outcome) == ("held", None)
    assert buttons(stage, task) == []
    stage.check()
    ended = stage.task(task)
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "absent")
    assert stage.world.sent == ["a"]


def shown(stage: Stage, mark: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    there = [Found("job-7", mark=mark)]
    monkeypatch.setattr(MakeBlindly, "find", lambda self, ctx: there)
    stage.world.jobs["job-7"] = Done("seven!")


@pytest.mark.parametrize("whole", [False, True], ids=["token", "whole mark"])
def test_absent_when_the_provider_shows_it_is_adopted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    task = held(stage)
    token = effect_of(stage, task).id
    mark = str(Mark(stage.engine.installation, token)) if whole else token
    shown(stage, mark, monkeypatch)
    decide(stage, task, Decision.ABSENT)
    stage.work()
    assert stage.task(task).result == "seven!"


def test_absent_when_something_unproved_is_there_is_held(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = held(stage)
    shown(stage, None, monkeypatch)
    decide(stage, task, Decision.ABSENT)
    stage.work()
    assert stage.task(task).state == "held"
    assert "Not absent: the provider shows job-7" in stage.task(task).message
    assert len(buttons(stage, task)) == 4


@pytest.mark.parametrize("error", [TimeoutError("no answer"), RuntimeError("bug")])
def test_absent_while_the_provider_cannot_be_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def silent(self: Any, ctx: Ctx) -> Any:
        raise error

    task = held(stage)
    with monkeypatch.context() as patched:
        patched.setattr(MakeBlindly, "find", silent)
        decide(stage, task, Decision.ABSENT)
        for _ in range(ERROR_BUDGET + 2):
            look_again(stage)
    still = stage.task(task)
    assert (still.state, still.outcome) == ("held", None)
    assert type(error).__name__ in still.message
    honest(stage)
    if isinstance(error, RuntimeError):
        assert len(buttons(stage, task)) == 4
        return
    reason = stage.engine.read(lambda tx: waiting_for(tx, [still]))[task.id]
    assert reason.kind == "provider"
    look_again(stage)
    assert (stage.task(task).error or {})["code"] == "absent"


def look_again(stage: Stage) -> None:
    """The next look at what a person decided is due now."""
    table = placeholder_table
    stage.engine.write(
        lambda tx: tx.execute(
            table.update()
            .where(table.c.next_check_at.is_not(None))
            .values(next_check_at=tx.now)
        )
    )
    stage.check()


def test_absent_for_a_list_of_tasks_knows_what_was_there_before(stage: Stage) -> None:
    """What was there before the first send is not ours, whatever comes of it."""

    def send(what: str, ctx: Ctx) -> str:
        stage.world.jobs |= {"x": Running(), "y": Running()}
        return races.lose(what, ctx)

    stage.world.jobs["somebody's"] = Running()
    stage.world.on_send = send
    task = stage.ask(MakeAmong(provider="p-1", what="a"))
    stage.work(rounds=1)
    assert stage.task(task).state == "held"
    del stage.world.jobs["x"], stage.world.jobs["y"]
    decide(stage, task, Decision.ABSENT)
    stage.check()
    assert (stage.task(task).error or {})["code"] == "absent"


def test_send_again_sends_the_stored_request_once_more(stage: Stage) -> None:
    task = held(stage)
    token = effect_of(stage, task).id
    first = effect_of(stage, task).first_sent_at
    assert decide(stage, task, Decision.SEND_AGAIN).state == "queued"
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, stage.world.sent) == ("ok", ["a", "a"])
    assert list(stage.world.jobs) == [token]
    assert effect_of(stage, task).first_sent_at == first


def test_send_again_is_not_offered_after_a_cancel(stage: Stage) -> None:
    """What is offered can be chosen, and nothing is sent after a cancel."""
    task = held(stage)
    assert Decision.SEND_AGAIN in buttons(stage, task)
    cancel(stage.engine, task.id, "ada")
    assert buttons(stage, task) == [Decision.ADOPT, Decision.ABSENT, Decision.WATCH]
    with pytest.raises(Rejected, match="asked to stop"):
        decide(stage, task, Decision.SEND_AGAIN)


@pytest.mark.parametrize("error", [Refused("there is one"), ConnectionResetError("x")])
def test_send_again_in_vain_is_doubt_and_no_failure(
    stage: Stage, error: Exception
) -> None:
    def fail(what: str, ctx: Ctx) -> str:
        raise error

    task = held(stage)
    stage.world.on_send = fail
    decide(stage, task, Decision.SEND_AGAIN)
    stage.work()
    again = stage.task(task)
    assert (again.state, again.outcome, len(stage.world.sent)) == ("held", None, 2)
    assert len(buttons(stage, task)) == 4


def test_send_again_is_lost_with_its_workers(stage: Stage) -> None:
    """Not even then is it said that nothing was sent (rule 7)."""
    task = held(stage)
    decide(stage, task, Decision.SEND_AGAIN)
    for number in range(recover.MOST_RECOVERIES + 1):
        assert stage.claim(f"w-{number}")
        recover.worker_gone(stage.engine, f"w-{number}", "it died")
    stage.work()
    assert (stage.task(task).state, stage.task(task).outcome) == ("held", None)


def test_watch_ends_it_and_names_what_may_be_there(stage: Stage) -> None:
    task = held(stage)
    ended = decide(stage, task, Decision.WATCH)
    assert (ended.outcome, effect_of(stage, task).state) == ("interrupted", "watched")
    token = effect_of(stage, task).id
    assert token in (ended.error or {})["left_behind"][0]
    honest(stage)


#: What can be decided about an effect of which nobody knows what became of it.
OF_DOUBT = (
    Decision.ADOPT,
    Decision.ABSENT,
    Decision.SEND_AGAIN,
    Decision.WATCH,
)


@pytest.mark.parametrize("decision", OF_DOUBT)
def test_within_a_plan(stage: Stage, decision: Decision) -> None:
    root, part = held_within(stage)
    handle = None
    if decision is Decision.ADOPT:
        stage.world.jobs[handle := "job-7"] = Done("seven!")
    decide(stage, part, decision, external_id=handle)
    stage.work()
    honest(stage)
    assert not stage.task(root).done, "the other part still goes on"
    assert stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    the_other_ends(stage)
    ended, now = stage.task(root), by_key(stage)
    honest(stage)
    if decision in (Decision.ADOPT, Decision.SEND_AGAIN):
        assert (ended.outcome, now["after"].outcome) == ("ok", "ok")
        return
    wanted = {Decision.ABSENT: "failed", Decision.WATCH: "interrupted"}[decision]
    assert (ended.outcome, now["after"].outcome) == (wanted, "cancelled")
    assert now["other"].outcome == "ok"
    left = " ".join((ended.error or {})["left_behind"])
    assert effect_of(stage, now["other"]).result in left
    watched = effect_of(stage, part).id in left
    assert watched == (decision is Decision.WATCH)
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))


def test_decided_twice(stage: Stage) -> None:
    task = held(stage)
    decide(stage, task, Decision.WATCH)
    with pytest.raises(Rejected, match="not held"):
        decide(stage, task, Decision.ABSENT)
    assert stage.task(task).outcome == "interrupted"


def test_another_decision_while_the_first_is_carried_out(stage: Stage) -> None:
    """What came of the first stands in no later decision's way."""
    task = held(stage)
    decide(stage, task, Decision.ABSENT)
    decide(stage, task, Decision.ADOPT, external_id="nonsense")
    stage.work()
    assert stage.task(task).state == "held"
    assert len(buttons(stage, task)) == 4
    decide(stage, task, Decision.WATCH)
    assert stage.task(task).outcome == "interrupted"


def test_two_at_once_decide_once(stage: Stage) -> None:
    """Adopted, and at the same time watched: the second finds that it is not held."""
    task = held(stage)
    stage.world.jobs["job-7"] = Running()
    decide(stage, task, Decision.ADOPT, external_id="job-7")
    with pytest.raises(Rejected, match="not held"):
        decide(stage, task, Decision.WATCH)
    assert stage.task(task).state == "waiting"


def test_it_says_who_decided_what(stage: Stage) -> None:
    task = held(stage)
    decide(stage, task, Decision.ABSENT)
    assert "ada decided: absent." in evidence_of(stage, task)
    reason = stage.engine.read(lambda tx: waiting_for(tx, [stage.task(task)]))
    assert "as ada decided" in reason[task.id].text


def test_doubt_counts_from_the_decision_on(stage: Stage) -> None:
    """Else what is sent again would be held at once, as overdue."""
    task = held(stage)
    table = placeholder_table
    long_ago = timedelta(days=3)
    stage.engine.write(
        lambda tx: tx.execute(table.update().values(doubt_since=tx.now - long_ago))
    )
    decide(stage, task, Decision.SEND_AGAIN)
    now = stage.engine.read(lambda tx: tx.now)
    assert now - effect_of(stage, task).doubt_since < timedelta(hours=1)


def test_who_is_refused_a_held_tasks_lock_is_not_told_to_wait(stage: Stage) -> None:
    """Invariant 10: the lock comes free when a person decides, and not by itself."""
    holder = held(stage, MakeAlone)
    refused = stage.run(MakeAlone(provider="p-1", what="a"))
    assert (refused.outcome, holder.id in refused.message) == ("failed", True)
    assert "That task is held: it ends when a person decides." in refused.message
    assert "Wait for that task" not in refused.message
