"""What a choice is said to do is what it does: of a whole, of a part, and of a step of
an undo (rules 8, 9, 11)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Command, Retry
from earmark.domain.errors import Refused
from earmark.domain.lock import exclusive
from earmark.domain.task import Task
from earmark.engine import not_undone
from earmark.engine.evidence import case
from earmark.engine.resolve import Decision, resolve
from earmark.web.reading.promises import promises
from tests.engine import races
from tests.engine.races import by_key, held, honest
from tests.engine.test_undo import MakeUndone, Tower, Unmake
from tests.engine.world import MakeBlindly, Stage, World


class MakeAlone(MakeBlindly):
    """Locks what it makes."""

    title = "Make {what} alone"

    def locks(self) -> Any:
        return [exclusive("thing", self.what)]


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for command in (*races.ALL, MakeAlone):
        stage.engine.commands.register(command)
    patience = Retry(attempts=2, first=timedelta(0))
    monkeypatch.setattr(not_undone, "PATIENCE", patience)
    return stage


def said(stage: Stage, task: Task) -> Mapping[str, str]:
    """What every face says of each choice; the page has words of its own for none."""
    known = stage.engine.read(lambda tx: case(tx, stage.task(task)))
    assert known is not None
    texts = {str(it.decision): it.text for it in known.choices}
    shown = stage.engine.read(lambda tx: promises(tx, [stage.task(task)]))[task.id]
    assert {it.decision: it.text for it in shown[-1].choices} == texts
    return texts


def decide(stage: Stage, task: Task, what: Decision) -> None:
    resolve(stage.engine, task.id, what, "ada")
    stage.work()
    honest(stage)


ENDS = pytest.mark.parametrize(
    ("decision", "words", "outcome"),
    [
        (Decision.ABSENT, "fails", "failed"),
        (Decision.WATCH, "ends as interrupted", "interrupted"),
    ],
)


@ENDS
def test_a_whole(stage: Stage, decision: Decision, words: str, outcome: str) -> None:
    task = held(stage, MakeAlone)
    text = said(stage, task)[decision]
    assert f"the task {words}" in text.replace("The", "the")
    decide(stage, task, decision)
    assert stage.task(task).outcome == outcome
    assert stage.locked("thing", "a") == []


@ENDS
def test_a_part(stage: Stage, decision: Decision, words: str, outcome: str) -> None:
    """Its root's locks stay, and the root ends badly too."""
    root = stage.ask(races.mixed("held:blind", "other:plain"))
    stage.world.on_send = lambda what, ctx: (
        races.lose(what, ctx) if what == "held" else races.go_on(stage, ctx)
    )
    stage.work(rounds=3)
    stage.world.on_send = None
    part = by_key(stage)["held"]
    text = said(stage, part)[decision].replace("This", "this")
    assert f"this part {words}" in text
    assert "the whole cannot end well" in text
    assert "The locks stay until the whole ends." in text
    decide(stage, part, decision)
    assert stage.task(part).outcome == outcome
    assert stage.locked("things") == [root.id]
    assert not stage.task(root).done
    stage.world.jobs.clear()


def held_step(stage: Stage) -> Task:
    return next(task for task in stage.tasks() if task.state == "held")


def refuse_bad(what: str, ctx: Ctx) -> str:
    if what == "bad":
        raise Refused("no room")
    return ctx.connect(World).make(what, ctx)


def undoing(stage: Stage, broken: Exception) -> Task:
    """A root whose undo of the later of two things, `b`, goes wrong so."""
    blindly = stage.vary(Unmake, operation="none", find=lambda self, ctx: [])

    def undo(self: MakeUndone, tx: Tx, job: str) -> Command[Any] | None:
        return blindly(provider=self.provider, what=self.what, made=tx.undone.token)

    def on_send(what: str, ctx: Ctx) -> str:
        if what == "-b":
            raise broken
        return refuse_bad(what, ctx)

    stage.world.on_send = on_send
    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="p-1", plan="a>b>bad"))
    stage.work()
    assert stage.locked("tower") == [root.id]
    return root


LOST = ConnectionResetError("the line went dead")


def test_a_step_that_is_absent_is_tried_again(stage: Stage) -> None:
    """It does not fail, and nothing lets go of its locks."""
    root = undoing(stage, LOST)
    step = held_step(stage)
    text = said(stage, step)[Decision.ABSENT]
    assert "then the taking back is tried again, as a new request" in text
    assert "fails" not in text
    assert "locks" not in text
    resolve(stage.engine, step.id, Decision.ABSENT, "ada")
    stage.check()
    assert (stage.task(step).state, stage.task(step).outcome) == ("queued", None)
    assert stage.locked("tower") == [root.id]
    stage.world.on_send = None
    stage.work()
    assert stage.task(step).outcome == "ok"
    assert (stage.task(root).error or {}).get("left_behind") is None


def test_a_step_that_is_absent_too_often_asks_again(stage: Stage) -> None:
    undoing(stage, LOST)
    step = held_step(stage)
    assert "tries you are asked again" in said(stage, step)[Decision.ABSENT]
    for _ in range(2):
        decide(stage, step, Decision.ABSENT)
    assert list(said(stage, step)) == [Decision.UNDO_AGAIN, Decision.LEAVE_BEHIND]


def test_a_step_that_is_watched(stage: Stage) -> None:
    root = undoing(stage, LOST)
    step = held_step(stage)
    text = said(stage, step)[Decision.WATCH]
    assert "named as perhaps left behind" in text
    assert "what was done before that stays" in text
    decide(stage, step, Decision.WATCH)
    ended = stage.task(root)
    stays, perhaps = sorted((ended.error or {})["left_behind"])
    assert stays.startswith("a! at ")
    assert perhaps.startswith("perhaps b! at ")
    assert (ended.outcome, stage.locked("tower")) == ("failed", [])
    assert "ends with the verdict that it has" in text


def test_a_step_that_is_left_behind(stage: Stage) -> None:
    root = undoing(stage, Refused("it is in use"))
    step = held_step(stage)
    text = said(stage, step)[Decision.LEAVE_BEHIND]
    assert "It stays at the provider, with what was done before it" in text
    decide(stage, step, Decision.LEAVE_BEHIND)
    ended = stage.task(root)
    assert len((ended.error or {})["left_behind"]) == 2
    assert "ends with the verdict that it has" in text
    assert (ended.outcome, stage.locked("tower")) == ("failed", [])


def test_an_undo_that_could_not_be_planned(stage: Stage) -> None:
    def undo(self: MakeUndone, tx: Tx, job: str) -> Command[Any] | None:
        raise RuntimeError("no idea")

    stage.world.on_send = refuse_bad
    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="p-1", plan="a>bad"))
    stage.work()
    texts = said(stage, root)
    assert "its command is asked again" in texts[Decision.UNDO_AGAIN]
    assert "What was not taken back yet stays" in texts[Decision.LEAVE_BEHIND]
    decide(stage, root, Decision.LEAVE_BEHIND)
    assert len((stage.task(root).error or {})["left_behind"]) == 1
    assert (stage.task(root).outcome, stage.locked("tower")) == ("failed", [])
