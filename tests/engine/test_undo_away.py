"""Undo, while the provider is away (rules 4, 9): silence is no answer, so it uses up no
patience. A step waits as long as it takes; what really fails is counted as ever."""

import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Retry
from earmark.domain.errors import NotSent, Refused, Rejected, Throttled
from earmark.domain.task import Task
from earmark.engine import not_undone
from earmark.engine.evidence import case, meant
from earmark.engine.explain import waiting_for
from earmark.engine.resolve import Decision, resolve
from earmark.store import journal, placeholders
from earmark.store.database import Transaction
from earmark.store.schema import tasks as table
from earmark.testing import invariants
from earmark.web.reading.promises import promises
from tests.engine.test_restored import horizon_passes
from tests.engine.test_undo import ALL, MakeUndone, Tower, Unmake, tower
from tests.engine.world import Stage, World

AWAY = NotSent("There is no way to it.")
#: What comes of the attempts to take `a` back, one after the other; then it is done.
Fate = list[Exception]


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Tried again at once, and only twice."""
    for command in ALL:
        stage.engine.commands.register(command)
    be_patient(monkeypatch, Retry(attempts=2, first=timedelta(0)))
    return stage


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def be_patient(monkeypatch: pytest.MonkeyPatch, patience: Retry) -> None:
    monkeypatch.setattr(not_undone, "PATIENCE", patience)


def fated(stage: Stage, fate: Fate) -> None:
    """`bad` is refused; what takes `a` back is sent in vain, as its fate has it."""
    comes = iter(fate)

    def send(what: str, ctx: Ctx) -> str:
        if what == "bad":
            raise Refused("no room", code="quota")
        if what == "-a":
            _meet(comes)
        return ctx.connect(World).make(what, ctx)

    stage.world.on_send = send


def _meet(comes: Iterator[Exception]) -> None:
    error = next(comes, None)
    if error is not None:
        raise error


def unprepared(stage: Stage, fate: Fate) -> type[Tower]:
    """A tower whose steps back fail before anything is sent, as their fate has it."""
    comes = iter(fate)

    def prepare(self: Unmake, ctx: Ctx) -> Any:
        _meet(comes)
        return Unmake.prepare(self, ctx)

    back = stage.vary(Unmake, prepare=prepare, title="Unmake {what} at last")

    def undo(self: MakeUndone, tx: Tx, job: str) -> Any:
        return back(provider=self.provider, what=self.what, made=tx.undone.token)

    fated(stage, [])
    return stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))


def step_of(stage: Stage) -> Task:
    (step,) = [task for task in stage.tasks() if task.undoes_id is not None]
    return step


def warned(stage: Stage, task: Task) -> list[str]:
    lines = stage.engine.read(lambda tx: journal.lines(tx, task.id))
    return [line.text for line in lines if line.level == "warning"]


def honest(stage: Stage) -> None:
    assert invariants.broken(stage.engine) == []


def test_a_step_that_cannot_be_sent_waits_as_long_as_it_takes(stage: Stage) -> None:
    """With one promise, of which nothing has left, and not one for each try."""
    fated(stage, [AWAY] * 15)
    root = stage.ask(tower("a>bad"))
    stage.work(rounds=16)
    honest(stage)
    step = step_of(stage)
    assert step.state == "queued", step.message
    assert "There is no way to it." in step.message
    assert [e.state for e in stage.effects() if e.task_id == step.id] == ["planned"]
    assert len(warned(stage, step)) == 1, "said once, not at every try"
    token = next(e.id for e in stage.effects() if e.task_id == step.id)
    seen = stage.engine.read(lambda tx: placeholders.evidence_of(tx, token))
    assert [it.kind for it in seen] == ["sending", "not-sent"]
    assert stage.locked("tower") == [root.id]
    stage.work()
    honest(stage)
    assert (stage.task(root).outcome, stage.task(step).outcome) == ("failed", "ok")


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        ConnectionResetError("cut"),
        TimeoutError("no answer"),
        ssl.SSLEOFError("the front restarts"),
        because(NotSent("no connection"), ConnectionRefusedError("nobody listens")),
        because(LookupError("a library's"), TimeoutError("no answer")),
    ],
    ids=repr,
)
def test_nor_is_one_held_that_cannot_be_prepared(
    stage: Stage, error: Exception
) -> None:
    kind = unprepared(stage, [error] * 15)
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work(rounds=16)
    honest(stage)
    step = step_of(stage)
    assert step.state == "queued", step.message
    assert len([e for e in stage.effects() if e.task_id == step.id]) == 1
    stage.work()
    honest(stage)
    assert (stage.task(root).outcome, stage.task(step).outcome) == ("failed", "ok")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("no key here"),
        RuntimeError("a mistake"),
        because(Refused("no"), ConnectionResetError("the first address")),
        because(NotSent("no TLS"), ssl.SSLCertVerificationError("not trusted")),
    ],
    ids=repr,
)
def test_what_is_no_provider_that_is_away_is_held(
    stage: Stage, error: Exception
) -> None:
    """Nobody would ever mend it, were no person asked."""
    kind = unprepared(stage, [error] * 15)
    stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work()
    assert step_of(stage).state == "held"


def test_what_really_fails_is_counted_all_the_same(stage: Stage) -> None:
    """Held at the second refusal, however often nobody was there in between."""
    no = Refused("in use")
    fated(stage, [AWAY, no, AWAY, AWAY, AWAY, no, AWAY])
    stage.ask(tower("a>bad"))
    stage.work()
    honest(stage)
    step = step_of(stage)
    assert (step.state, stage.world.sent.count("-a")) == ("held", 6)
    assert "in use" in step.message
    effects = [e.state for e in stage.effects() if e.task_id == step.id]
    assert effects == ["refused", "refused"]


def test_it_says_what_it_waits_for_and_is_patient(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Retry(2, timedelta(minutes=1), jitter=0, longest=timedelta(minutes=4))
    be_patient(monkeypatch, patience)
    known: list[list[str | int]] = [
        [name, version] for name, version in stage.engine.commands.pairs()
    ]
    fated(stage, [AWAY] * 9)
    stage.ask(tower("a>bad"))
    pauses = []
    for number in range(5):
        stage.work(rounds=8)
        step = step_of(stage)
        # Somebody is there who was heard of just now, however slow this host is.
        stage.hire(f"w-{number}", known)
        pauses.append((step.run_after - step.updated_at) / timedelta(minutes=1))
        why = stage.engine.read(lambda tx: waiting_for(tx, [step_of(stage)]))[step.id]
        assert (why.kind, why.next_check) == ("later", step.run_after)
        stage.engine.write(due)
    assert pauses == [1, 2, 4, 4, 4]


def due(tx: Transaction) -> None:
    tx.execute(sa.update(table).values(run_after=tx.now))


def offered(stage: Stage, task: Task) -> list[str]:
    """What can be decided about it; its page, too, offers that."""
    known = stage.engine.read(lambda tx: case(tx, stage.task(task)))
    shown = stage.engine.read(lambda tx: promises(tx, [stage.task(task)]))[task.id]
    decisions = [str(it.decision) for it in known.choices] if known else []
    assert [it.decision for it in shown[-1].choices] == decisions
    return decisions


def test_a_person_need_not_wait_for_it(stage: Stage) -> None:
    """It may be away for good: then who knows that leaves the step behind."""
    fated(stage, [AWAY] * 99)
    root = stage.ask(tower("a>bad"))
    while not (steps := [task for task in stage.tasks() if task.undoes_id]):
        stage.work(rounds=1)
    (step,) = steps
    assert offered(stage, step) == [], "not before it was tried"
    stage.work(rounds=3)
    assert offered(stage, step) == [Decision.LEAVE_BEHIND]
    with pytest.raises(Rejected, match="cannot be decided"):
        resolve(stage.engine, step.id, Decision.UNDO_AGAIN, "ada")
    resolve(stage.engine, step.id, Decision.LEAVE_BEHIND, "ada")
    stage.work()
    honest(stage)
    now, left = stage.task(root), stage.task(step)
    assert (now.outcome, left.outcome) == ("failed", "interrupted")
    assert (now.error or {})["left_behind"] == [
        "a! at scripted (“Make a, to be undone”)"
    ]
    assert [e.state for e in stage.effects() if e.task_id == step.id] == ["dropped"]
    assert (stage.locked("tower"), offered(stage, step)) == ([], [])


def test_nor_after_a_send_that_came_to_nothing(stage: Stage) -> None:
    """The answer to the first was lost, and it was found absent; then nobody was there
    any more."""
    fated(stage, [ConnectionResetError("cut"), *[AWAY] * 99])
    root = stage.ask(tower("a>bad"))
    for _ in range(60):
        stage.work(rounds=1)
        horizon_passes(stage)
        if [it.undoes_id for it in stage.tasks() if "There is no way" in it.message]:
            break
    honest(stage)
    step = step_of(stage)
    (effect,) = [it for it in stage.effects() if it.task_id == step.id]
    assert (effect.state, effect.first_sent_at is None) == ("planned", False)
    assert offered(stage, step) == [Decision.LEAVE_BEHIND]
    resolve(stage.engine, step.id, Decision.LEAVE_BEHIND, "ada")
    stage.work()
    honest(stage)
    assert (stage.task(root).outcome, stage.locked("tower")) == ("failed", [])
    assert "Left behind: a! at scripted" in stage.task(root).message


def test_a_restored_step_is_left_behind_as_perhaps_done(stage: Stage) -> None:
    """Rule 15: what may have been sent before is not dropped; and since nobody answers,
    only a sweep can tell."""
    kind = unprepared(stage, [AWAY] * 99)
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work(rounds=8)
    step = step_of(stage)
    stage.engine.write(lambda tx: tx.execute(table.update().values(restored=True)))
    assert offered(stage, step) == [Decision.LEAVE_BEHIND]
    resolve(stage.engine, step.id, Decision.LEAVE_BEHIND, "ada")
    stage.work()
    honest(stage)
    now, left = stage.task(root), stage.task(step)
    assert (now.outcome, left.outcome) == ("failed", "interrupted")
    assert "Left behind: perhaps a! at scripted" in now.message
    assert [e.state for e in stage.effects() if e.task_id == step.id] == ["watched"]
    assert stage.locked("tower") == []


def test_the_wait_uses_up_no_try(stage: Stage) -> None:
    """A provider that is back and busy is as new to the step as ever: the same promise
    goes again, as the command's own policy says."""
    busy = Throttled("come later")
    fated(stage, [*[AWAY] * 15, busy, busy])
    root = stage.ask(tower("a>bad"))
    stage.work(rounds=16)
    stage.work()
    honest(stage)
    step = step_of(stage)
    assert (stage.task(root).outcome, step.outcome) == ("failed", "ok")
    assert len([e for e in stage.effects() if e.task_id == step.id]) == 1
    assert step.tries == 3, "two that it was too busy for, and the last"


def test_whoever_names_the_root_means_the_step_that_waits(stage: Stage) -> None:
    fated(stage, [AWAY] * 99)
    root = stage.ask(tower("a>bad"))
    stage.work(rounds=12)
    step = step_of(stage)
    named = stage.engine.read(
        lambda tx: [meant(tx, stage.task(it)).id for it in (root, step)]
    )
    assert named == [step.id, step.id]
