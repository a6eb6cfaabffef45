"""Again: what definitely failed is tried once more by policy, and an ended task by a
person; doubt is neither (rules 2, 5, 8)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Action, Retry
from earmark.domain.errors import Refused, Rejected, UnknownName
from earmark.domain.outcome import Done, Failed
from earmark.domain.secret import Secret
from earmark.domain.task import Task
from earmark.engine import browse
from earmark.engine.cancel import cancel
from earmark.engine.perform import perform
from earmark.engine.retry import refusal, retry
from earmark.store import locks
from tests.engine import races
from tests.engine.races import ALL, Between, Watch, by_key, effect_of, honest, mixed
from tests.engine.world import Make, MakeAll, Stage

SOON = timedelta(milliseconds=1)


class MakeAgain(Make):
    """Worth another try while the provider is busy."""

    title = "Make {what} again"
    retry = Retry(attempts=3, first=SOON, longest=SOON, on=frozenset({"busy"}))


class MakePatiently(Make):
    """The same, after a pause that a test can measure."""

    title = "Make {what} patiently"
    retry = Retry(first=timedelta(seconds=100), jitter=0.2, on=frozenset({"busy"}))


class WatchAgain(Watch):
    """An action that is worth another try."""

    title = "Watch again"
    retry = Retry(attempts=3, first=SOON, longest=SOON, on=frozenset({"busy"}))


class Confide(Action[str]):
    """An action with a secret, which fails."""

    title = "Confide"
    password: Secret

    def run(self, ctx: Ctx) -> str:
        raise RuntimeError("in vain")


class Fussy(Watch):
    """An action whose `check` refuses as long as the test says so."""

    title = "Be fussy"

    def check(self, tx: Tx) -> None:
        if FUSS:
            raise Rejected("not now")


FUSS: list[str] = []
races.KINDS = {**races.KINDS, "again": MakeAgain}


@pytest.fixture
def stage(stage: Stage) -> Stage:
    mine = (MakeAgain, MakePatiently, WatchAgain, Confide, Fussy)
    for command in (*ALL, *mine):
        stage.engine.commands.register(command)
    FUSS.clear()
    return stage


def make(kind: type[Make] = MakeAgain) -> Make:
    return kind(provider="p-1", what="a")


def busy(stage: Stage, times: int, code: str = "busy") -> list[str]:
    """So many jobs end badly; returns which, as it happens."""
    failed: list[str] = []

    def poll(job: str) -> Any:
        if job not in failed and len(failed) < times:
            failed.append(job)
        return Failed("too busy", code) if job in failed else Done(f"{job}!")

    stage.world.on_poll = poll
    return failed


def test_a_job_that_failed_is_promised_anew(stage: Stage) -> None:
    failed = busy(stage, 1)
    ended = stage.run(make())
    first, second = stage.effects()
    assert (ended.outcome, stage.world.sent) == ("ok", ["a", "a"])
    assert (first.state, second.state) == ("settled", "settled")
    assert (second.replaces_id, first.replaces_id) == (first.id, None)
    assert failed == [first.id]
    assert list(stage.world.jobs) == [first.id, second.id]
    assert ended.result == f"{second.id}!"


def test_a_refused_one_too(stage: Stage) -> None:
    answers = [Refused("too busy", code="busy")]

    def send(what: str, ctx: Ctx) -> str:
        if answers:
            raise answers.pop()
        return stage.world.make(what, ctx)

    stage.world.on_send = send
    ended = stage.run(make())
    first, second = stage.effects()
    assert (ended.outcome, first.state, second.state) == ("ok", "refused", "settled")
    assert list(stage.world.jobs) == [second.id]


def test_attempts_are_bounded(stage: Stage) -> None:
    busy(stage, 99)
    ended = stage.run(make())
    assert (ended.outcome, (ended.error or {})["code"]) == ("failed", "busy")
    assert len(stage.world.sent) == 3
    chain = [(e.id, e.replaces_id) for e in stage.effects()]
    assert [older for _, older in chain[1:]] == [newer for newer, _ in chain[:-1]]


def test_another_code_is_not_tried_again(stage: Stage) -> None:
    busy(stage, 1, "broken")
    ended = stage.run(make())
    assert (ended.outcome, len(stage.effects())) == ("failed", 1)


@pytest.mark.parametrize("landed", [True, False])
def test_doubt_is_found_out_before_anything_is_promised_anew(
    stage: Stage, landed: bool
) -> None:
    """The no to the second request counts once the first is known not to be there."""
    answers = [Refused("too busy", code="busy"), ConnectionResetError("lost")]

    def send(what: str, ctx: Ctx) -> str:
        if landed:
            stage.world.make(what, ctx)
        if answers:
            raise answers.pop()
        return stage.world.make(what, ctx)

    stage.world.on_send = send
    ended = stage.run(make())
    assert (ended.outcome, len(stage.effects())) == ("ok", 1 if landed else 2)
    assert len(stage.world.jobs) == 1


def test_not_after_a_cancel(stage: Stage) -> None:
    races.running(stage)
    task = stage.ask(make())
    stage.work(rounds=2)
    cancel(stage.engine, task.id, "ada")
    busy(stage, 1)
    stage.work()
    assert (stage.task(task).outcome, len(stage.effects())) == ("failed", 1)


def test_cancelled_at_each_transaction_it_sends_nothing_more(stage: Stage) -> None:
    at, more = 0, True
    while more:
        busy(stage, 1)
        task = stage.ask(make())
        intended: list[int] = []

        def deed(task: Task = task, intended: list[int] = intended) -> None:
            if not stage.task(task).done:
                cancel(stage.engine, task.id, "ada")
                intended.append(races.intents(stage))

        with Between(stage).before(at, deed) as between:
            stage.work()
        honest(stage, task)
        assert stage.task(task).done
        assert not intended or races.intents(stage) == intended[0]
        at, more = at + 1, between.count > at
    assert at > 8


def test_cancelled_while_it_waits_for_its_next_try(stage: Stage) -> None:
    busy(stage, 1)
    task = stage.ask(make(MakePatiently))
    stage.work(rounds=2)
    assert stage.task(task).state == "queued"
    ended = cancel(stage.engine, task.id, "ada")
    assert ended.outcome == "cancelled"
    assert [e.state for e in stage.effects()] == ["settled", "dropped"]


def test_the_pause_is_within_its_bounds(stage: Stage) -> None:
    busy(stage, 1)
    task = stage.ask(make(MakePatiently))
    stage.work(rounds=2)
    now = stage.task(task)
    pause = (now.run_after - now.updated_at).total_seconds()
    assert 79.9 <= pause <= 100.1
    assert stage.claim() == []


@pytest.mark.parametrize("luck", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("attempt", [1, 2, 5, 10_000])
def test_every_pause_is(luck: float, attempt: int) -> None:
    policy = Retry(
        first=timedelta(seconds=2), longest=timedelta(seconds=60), jitter=0.25
    )
    whole = min(2 * 2.0 ** min(attempt - 1, 40), 60)
    pause = policy.pause(attempt, luck).total_seconds()
    assert whole * 0.75 - 0.01 <= pause <= whole + 0.01


def test_a_part_is_tried_again_and_its_plan_goes_on(stage: Stage) -> None:
    busy(stage, 1)
    root = stage.ask(mixed("a:again", "b:plain:a"))
    stage.work()
    assert (stage.task(root).outcome, by_key(stage)["b"].outcome) == ("ok", "ok")
    assert stage.task(root).error is None


def test_a_part_tried_in_vain_fails_its_plan(stage: Stage) -> None:
    busy(stage, 99)
    root = stage.ask(mixed("a:again", "b:plain:a"))
    stage.work()
    ended = stage.task(root)
    assert (ended.outcome, by_key(stage)["b"].outcome) == ("failed", "cancelled")
    left = (ended.error or {})["left_behind"]
    assert [it.startswith("perhaps a part of ") for it in left] == [True] * 3
    assert not stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))


@pytest.mark.parametrize(("code", "runs"), [("busy", 3), ("broken", 1)])
def test_an_action_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str, runs: int
) -> None:
    ran: list[str] = []

    def work(ctx: Ctx) -> str:
        ran.append(code)
        raise Rejected("not now", code=code)

    monkeypatch.setattr(WatchAgain, "work", work)
    ended = stage.run(WatchAgain())
    assert (ended.outcome, len(ran)) == ("failed", runs)


# A person's retry.


def ended_badly(stage: Stage) -> Task:
    stage.world.on_poll = lambda job: Failed("no")
    task = stage.run(Make(provider="p-1", what="a"))
    stage.world.on_poll = None
    assert task.outcome == "failed"
    return task


def face(stage: Stage, task: Task) -> browse.TaskFace:
    now = stage.task(task)
    return stage.engine.read(lambda tx: browse.face(tx, now))


def test_a_person_retries_and_both_are_linked(stage: Stage) -> None:
    task = ended_badly(stage)
    again = retry(stage.engine, task.id, "ada")
    assert (again.state, again.owner, again.params) == ("queued", "ada", task.params)
    assert face(stage, again).retry_of == task.id
    assert face(stage, task).retried_by == again.id
    stage.work()
    assert stage.task(again).outcome == "ok"
    assert stage.task(task).outcome == "failed"
    first, second = stage.effects()
    assert (first.id != second.id, second.replaces_id) == (True, None)


def why_not(stage: Stage, task: Task) -> str:
    """The refusal in words, which `retry` raises too."""
    now = stage.task(task)
    words = stage.engine.read(lambda tx: refusal(tx, now))
    if words:
        before = len(stage.tasks())
        with pytest.raises(Rejected) as refused:
            retry(stage.engine, task.id, "ada")
        assert (str(refused.value), refused.value.code) == (words, "not-retried")
        assert len(stage.tasks()) == before
    return words


def test_what_cannot_be_retried_says_why(stage: Stage) -> None:
    waiting = stage.ask(Make(provider="p-1", what="a"))
    assert why_not(stage, waiting) == "It has not ended yet."
    stage.work()
    assert why_not(stage, waiting) == "It ended well; ask for it anew instead."
    secret = stage.run(Confide(password=Secret("hush")))
    assert "secrets were deleted" in why_not(stage, secret)
    stage.world.on_poll = lambda job: Failed("no")
    root = stage.run(MakeAll(provider="p-1", whats=("b",)))
    child = by_key(stage)["b"]
    assert "part of another task" in why_not(stage, child)
    assert why_not(stage, root) == ""
    again = retry(stage.engine, root.id, "ada")
    assert again.id in why_not(stage, root)
    stage.work()
    assert why_not(stage, root) == "", "the retry has failed too"
    with pytest.raises(UnknownName):
        retry(stage.engine, "no-such-task", "ada")


def test_a_retry_that_is_refused_writes_nothing(stage: Stage) -> None:
    task = stage.ask(Fussy())
    cancel(stage.engine, task.id, "ada")
    FUSS.append("now")
    with pytest.raises(Rejected, match="not now"):
        retry(stage.engine, task.id, "ada")
    assert len(stage.tasks()) == 1
    assert face(stage, task).retried_by is None


def test_two_at_once_make_one(stage: Stage) -> None:
    task = ended_badly(stage)

    def ask(who: str) -> str:
        try:
            return retry(stage.engine, task.id, who).id
        except Rejected as refused:
            return str(refused)

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(ask, ["ada", "bob"]))
    (made,) = [t.id for t in stage.tasks() if t.retry_of == task.id]
    assert made in said
    assert f"It is being retried already, by task {made}." in said


def test_a_cancelled_one_can_be_retried(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    (claimed,) = stage.claim()
    cancel(stage.engine, task.id, "ada")
    perform(stage.engine, claimed)
    assert effect_of(stage, task) is None
    again = retry(stage.engine, task.id, "ada")
    stage.work()
    assert stage.task(again).outcome == "ok"
