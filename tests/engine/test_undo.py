"""Undo (rules 8, 9): what was done is taken back in reverse, each step a command of its
own; the failed one too; what fails is tried again, then held; what stays is named."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import (
    Child,
    Command,
    Composite,
    Deadlines,
    ExternalJob,
    OnRestart,
    Retry,
)
from earmark.domain.errors import Refused, RegistrationRefused, Rejected
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Running
from earmark.domain.refs import ProviderRef
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Task
from earmark.engine import cancel as cancelling
from earmark.engine import not_undone, resolve
from earmark.engine.boundary import Killed, watched
from earmark.engine.cancel import cancel
from earmark.engine.evidence import case
from earmark.engine.expire import expire
from earmark.engine.explain import waiting_for
from earmark.engine.perform import perform
from earmark.engine.resolve import Decision
from earmark.store import journal, placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.schema import sends
from earmark.store.schema import tasks as table
from earmark.testing import invariants
from tests.engine.world import Make, MakeBadly, Stage, World


class Unmake(Make):
    """Takes back what a `MakeUndone` has made; nothing to do when it is not there."""

    title = "Unmake {what}"
    operation = "absolute"
    #: The token of what it takes back.
    made: str

    def prepare(self, ctx: Ctx) -> Any:
        there = ctx.connect(World).jobs
        return None if self.made in there else Done(self.what, message="already gone")

    def send(self, ctx: Ctx) -> str:
        world = ctx.connect(World)
        handle = world.send(f"-{self.what}", ctx)
        world.jobs.pop(self.made, None)
        return handle


class MakeUndone(Make):
    """Makes a thing, and knows how to take it back."""

    title = "Make {what}, to be undone"

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        assert job == tx.undone.job
        tx.log(f"undo of {self.what}: {tx.undone.result}")
        return Unmake(provider=self.provider, what=self.what, made=tx.undone.token)


class MakeNothing(Make):
    """Leaves nothing behind, and says so."""

    title = "Make {what}, which leaves nothing"

    def undo(self, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return None


class MakeNamed(MakeUndone):
    """There once under its name, whoever asks twice; class `identity`."""

    title = "Make {what}, under its name"
    operation = "identity"


class Tower(Composite[str]):
    """Things upon each other: `a>b>c` in that order, `a,b` beside each other."""

    title = "Build {plan}"
    provider: ProviderRef
    plan: str
    makes: ClassVar[type[Make]] = MakeUndone
    then: str = ""
    broken: bool = False

    def locks(self) -> Sequence[Lock]:
        return [exclusive("tower", self.provider)]

    def _level(self, names: str, after: tuple[str, ...]) -> dict[str, Child]:
        return {
            name: Child(self.makes(provider=self.provider, what=name), after=after)
            for name in names.split(",")
        }

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        plan: dict[str, Child] = {}
        after: tuple[str, ...] = ()
        for names in self.plan.split(">"):
            level = self._level(names, after)
            plan, after = plan | level, tuple(level)
        return plan

    def next_phase(
        self, tx: Tx, results: Results
    ) -> Mapping[str, Command[Any] | Child]:
        if not self.then or self.then in results.keys():  # noqa: SIM118
            return {}
        return self._level(self.then, ())

    def finish(self, tx: Tx, results: Results) -> str:
        if self.broken:
            raise RuntimeError("the author's mistake")
        return "built"


class Towers(Composite[str]):
    """A tower, and another upon it."""

    title = "Build {first}, then {second}"
    provider: ProviderRef
    first: str
    second: str

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        first = Tower(provider=self.provider, plan=self.first)
        second = Tower(provider=self.provider, plan=self.second)
        return {"first": first, "second": Child(second, after=("first",))}

    def finish(self, tx: Tx, results: Results) -> str:
        return "built"


ALL = (Unmake, MakeUndone, MakeNothing, MakeNamed, Tower, Towers)


@pytest.fixture
def stage(stage: Stage) -> Stage:
    for command in ALL:
        stage.engine.commands.register(command)
    stage.world.on_send = _bad_is_refused
    return stage


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again at once, and only twice."""
    patience = Retry(attempts=2, first=timedelta(0))
    monkeypatch.setattr(not_undone, "PATIENCE", patience)


def _bad_is_refused(what: str, ctx: Ctx) -> str:
    """`bad` is refused at once; `late` fails only later, half-way; undo of `stuck` is
    refused."""
    if what in ("bad", "-stuck"):
        raise Refused("no room", code="quota")
    world = ctx.connect(World)
    if what == "late":
        world.jobs[ctx.token] = Failed("disk full")
        return ctx.token
    return world.make(what, ctx)


def tower(plan: str, **more: Any) -> Tower:
    return Tower(provider="scripted", plan=plan, **more)


def there(stage: Stage) -> list[str]:
    """What is at the provider: all that was made, also half-way, and not taken back."""
    made = {
        e.id: t.params["what"]
        for e in stage.effects()
        for t in stage.tasks()
        if t.id == e.task_id and t.undoes_id is None
    }
    return sorted(made[token] for token in stage.world.jobs if token in made)


def undone(stage: Stage) -> list[str]:
    """What was taken back, in the order in which that was asked for."""
    return [what[1:] for what in stage.world.sent if what.startswith("-")]


def honest(stage: Stage) -> None:
    assert invariants.broken(stage.engine) == []


def ended(stage: Stage, command: Command[Any]) -> Task:
    task = stage.run(command)
    honest(stage)
    assert task.done, task
    return task


def test_what_was_done_is_taken_back_in_reverse(stage: Stage) -> None:
    task = ended(stage, tower("a>b>c>bad>d"))
    assert (task.outcome, there(stage)) == ("failed", [])
    assert undone(stage) == ["c", "b", "a"]
    error = task.error or {}
    assert error["undone"] == ["Unmake c", "Unmake b", "Unmake a"]
    assert "left_behind" not in error
    assert "3 effects were taken back." in task.message


def test_each_step_has_a_placeholder_of_its_own(stage: Stage) -> None:
    task = ended(stage, tower("a,b>bad"))
    steps = [t for t in stage.tasks() if t.undoes_id]
    assert [step.parent_id for step in steps] == [task.id, task.id]
    tokens = {e.task_id: e.id for e in stage.effects()}
    assert len({tokens[step.id] for step in steps}) == 2
    undone_ids = {step.undoes_id for step in steps}
    assert {e.id for e in stage.effects() if e.undone_at} == undone_ids


def test_the_failed_one_too_if_its_bytes_left(stage: Stage) -> None:
    task = ended(stage, tower("a>late>d"))
    assert (task.outcome, there(stage)) == ("failed", [])
    assert undone(stage) == ["late", "a"]
    assert "undo of late: None" in log_of(stage, task)


def test_what_was_refused_left_nothing_to_take_back(stage: Stage) -> None:
    task = ended(stage, tower("bad"))
    assert (task.outcome, undone(stage)) == ("failed", [])
    assert "undone" not in (task.error or {})


def test_undo_waits_until_every_sent_sibling_has_ended(stage: Stage) -> None:
    """Rule 8."""
    stage.world.on_poll = lambda job: Running(50)
    root = stage.ask(tower("a,bad"))
    stage.work(rounds=4)
    now = stage.task(root)
    assert (now.verdict, now.step, undone(stage)) == ("failed", "run", [])
    assert stage.locked("tower") == [root.id]
    stage.world.on_poll = None
    stage.work()
    assert (stage.task(root).outcome, there(stage)) == ("failed", [])
    assert stage.locked("tower") == []


def test_its_locks_stay_until_all_is_undone(stage: Stage) -> None:
    def poll(job: str) -> Any:
        return Running(1) if stage.world.sent[-1] == "-a" else stage.world.jobs[job]

    stage.world.on_poll = poll
    root = stage.ask(tower("a>bad"))
    stage.work()
    assert stage.task(root).state == "undoing"
    assert stage.locked("tower") == [root.id]
    (step,) = [task for task in stage.tasks() if task.undoes_id is not None]
    now = stage.task(root)
    why = stage.engine.read(lambda tx: waiting_for(tx, [now]))[root.id]
    assert why.text == "1 of 1 steps back to end"
    assert (why.since, now.started_at) == (step.created_at, now.started_at)
    assert now.started_at is not None
    assert why.since > now.started_at, "since the undo, not since the task began"
    stage.world.on_poll = None
    stage.work()
    assert (stage.task(root).outcome, stage.locked("tower")) == ("failed", [])


def test_cancelled(stage: Stage) -> None:
    root = stage.ask(tower("a>b"))
    for _ in range(2):
        for claimed in stage.claim():
            perform(stage.engine, claimed)
    stage.check()
    offer = stage.engine.read(lambda tx: cancelling.offer(tx, stage.task(root)))
    assert offer is not None
    assert "(1 effect) is taken back" in offer.text
    cancel(stage.engine, root.id, "ada")
    stage.work()
    now = stage.task(root)
    assert (now.outcome, undone(stage), there(stage)) == ("cancelled", ["a"], [])

    def wrong(tx: Transaction) -> list[str]:
        lines = [line for it in stage.tasks() for line in journal.lines(tx, it.id)]
        return [line.text for line in lines if line.level == "error"]

    assert stage.engine.read(wrong) == [], "what was wanted is no error"
    honest(stage)


def test_what_was_not_there_was_not_taken_back(stage: Stage) -> None:
    """Somebody has removed `a` meanwhile: its step has nothing to send."""

    def send(what: str, ctx: Ctx) -> str:
        if what == "bad":
            made = {e.task_id: e.id for e in stage.effects()}
            (gone,) = [t.id for t in stage.tasks() if t.params.get("what") == "a"]
            del stage.world.jobs[made[gone]]
        return _bad_is_refused(what, ctx)

    stage.world.on_send = send
    task = ended(stage, tower("a>b>bad"))
    assert (task.outcome, undone(stage)) == ("failed", ["b"])
    assert "1 effect was taken back. Of 1 effect nothing was there." in task.message


def test_cancelled_too_late(stage: Stage) -> None:
    """What is under way ends well all the same: then nothing is taken back, and the
    offer has not promised that."""

    def poll(job: str) -> Any:
        return Running(1) if stage.world.sent[-1] == "b" else stage.world.jobs[job]

    stage.world.on_poll = poll
    root = stage.ask(tower("a>b"))
    stage.work(rounds=6)
    assert stage.world.sent == ["a", "b"]
    offer = stage.engine.read(lambda tx: cancelling.offer(tx, stage.task(root)))
    assert offer is not None
    assert "unless all the rest ends well all the same" in offer.text
    asked = cancel(stage.engine, root.id, "ada")
    assert cancelling.asked_by(asked.outcome, "ada") == ("asked to cancel by", "ada")
    stage.world.on_poll = None
    stage.work()
    now = stage.task(root)
    assert (now.outcome, undone(stage), there(stage)) == ("ok", [], ["a", "b"])
    label = cancelling.asked_by(now.outcome, "ada")
    assert label == ("asked to cancel by", "ada, too late")


def test_one_that_is_being_undone_cannot_be_cancelled(stage: Stage) -> None:
    root = held(stage, "stuck>bad")
    with pytest.raises(Rejected, match="is being taken back"):
        cancel(stage.engine, root.id, "ada")
    assert stage.engine.read(lambda tx: cancelling.offer(tx, root)) is None


def test_a_finish_that_raises_takes_all_of_it_back(stage: Stage) -> None:
    """Rule 13."""
    task = ended(stage, tower("a>b", broken=True))
    assert (task.outcome, undone(stage)) == ("failed", ["b", "a"])
    assert "the author's mistake" in task.message


def test_a_lone_job_whose_finish_raises(stage: Stage) -> None:
    def finish(self: Make, tx: Tx, result: str) -> None:
        raise RuntimeError("the author's mistake")

    badly = stage.vary(MakeUndone, finish=finish)
    task = ended(stage, badly(provider="scripted", what="a"))
    assert (task.outcome, undone(stage), there(stage)) == ("failed", ["a"], [])
    assert "left_behind" not in (task.error or {})


def test_a_later_phase_before_an_earlier_one(stage: Stage) -> None:
    task = ended(stage, tower("a,b", then="c", broken=True))
    assert (task.outcome, undone(stage)[0]) == ("failed", "c")
    assert sorted(undone(stage)) == ["a", "b", "c"]


def test_what_may_still_arrive_is_waited_for(stage: Stage, slow_way: None) -> None:
    """Taken back before its first request has arrived, it would be made anew by that
    (invariant 5)."""
    overtaken: list[str] = []

    def send(what: str, ctx: Ctx) -> str:
        if what == "a" and not overtaken:
            overtaken.append(ctx.token)
            raise ConnectionResetError("lost on its way")
        return _bad_is_refused(what, ctx)

    stage.world.on_send = send
    named = stage.vary(Tower, makes=MakeNamed)
    root = stage.ask(named(provider="scripted", plan="a>bad"))
    stage.work()
    now = stage.task(root)
    assert (now.state, now.step, undone(stage)) == ("queued", "undo", [])
    assert "may still arrive" in now.message
    assert now.run_after > now.updated_at + timedelta(minutes=59)

    def an_hour_later(tx: Transaction) -> None:
        tx.execute(sa.update(sends).values(over_at=tx.now - timedelta(hours=2)))
        tx.execute(sa.update(table).values(run_after=tx.now))

    stage.world.jobs[overtaken[0]] = Done("a!")  # the first request arrives
    stage.engine.write(an_hour_later)
    stage.work()
    assert (stage.task(root).outcome, undone(stage)) == ("failed", ["a"])
    assert there(stage) == []


def test_parts_of_parts(stage: Stage) -> None:
    """A part that ended well long ago is taken back as a whole, after what came after
    it."""
    both = Towers(provider="scripted", first="a>b", second="c>bad")
    task = ended(stage, both)
    assert (task.outcome, undone(stage)) == ("failed", ["c", "b", "a"])
    assert there(stage) == []


def test_an_undo_that_says_that_nothing_is_left(stage: Stage) -> None:
    leaves_none = stage.vary(Tower, makes=MakeNothing)
    task = ended(stage, leaves_none(provider="scripted", plan="a>bad"))
    assert task.outcome == "failed"
    assert "left_behind" not in (task.error or {})


def test_without_an_undo_it_is_named_as_left_behind(stage: Stage) -> None:
    plain = stage.vary(Tower, makes=Make)
    task = ended(stage, plain(provider="scripted", plan="a>bad"))
    assert (task.error or {})["left_behind"] == ["a! at scripted (“Make a”)"]


def held(stage: Stage, plan: str) -> Task:
    root = stage.ask(tower(plan))
    stage.work()
    honest(stage)
    return stage.task(root)


def held_step(stage: Stage) -> Task:
    return next(t for t in stage.tasks() if t.state == "held")


def test_one_that_fails_is_tried_again(stage: Stage) -> None:
    failures = iter(["not now"])

    def on_send(what: str, ctx: Ctx) -> str:
        if what == "-a" and next(failures, None):
            raise Refused("not now")
        return _bad_is_refused(what, ctx)

    stage.world.on_send = on_send
    task = ended(stage, tower("a>bad"))
    assert (undone(stage), there(stage)) == (["a", "a"], [])
    assert task.outcome == "failed"
    first, again = [e for e in stage.effects() if e.operation == "absolute"]
    assert again.replaces_id == first.id


def test_and_then_held(stage: Stage) -> None:
    """With its locks, with the evidence, and with what can be decided."""
    root = held(stage, "a>stuck>bad")
    step = held_step(stage)
    assert (root.state, undone(stage)) == ("undoing", ["stuck", "stuck"])
    assert "could not be taken back: The provider refused: no room" in step.message
    assert stage.locked("tower") == [root.id]
    waits = stage.engine.read(lambda tx: waiting_for(tx, [root, step]))
    assert (waits[root.id].kind, waits[step.id].kind) == ("person", "person")
    known = stage.engine.read(lambda tx: case(tx, step))
    assert known is not None
    assert [it.kind for it in known.seen] == ["sending", "refused"]
    offered = [it.decision for it in known.choices]
    assert offered == [Decision.UNDO_AGAIN, Decision.LEAVE_BEHIND]


def test_a_person_has_it_tried_again(stage: Stage) -> None:
    root = held(stage, "a>stuck>bad")
    stage.world.on_send = None
    resolve.resolve(stage.engine, held_step(stage).id, Decision.UNDO_AGAIN, "ada")
    stage.work()
    honest(stage)
    assert (stage.task(root).outcome, there(stage)) == ("failed", [])


def test_a_person_leaves_it_behind(stage: Stage) -> None:
    """What came before it may be what it stands on: that stays as well, named."""
    root = held(stage, "a>stuck>bad")
    resolve.resolve(stage.engine, held_step(stage).id, Decision.LEAVE_BEHIND, "ada")
    stage.work()
    honest(stage)
    now = stage.task(root)
    assert (now.outcome, there(stage)) == ("failed", ["a", "stuck"])
    assert (now.error or {})["left_behind"] == [
        "a! at scripted (“Make a, to be undone”)",
        "stuck! at scripted (“Make stuck, to be undone”)",
    ]
    assert stage.locked("tower") == []


@pytest.mark.parametrize("decision", [Decision.ADOPT, Decision.ABSENT, Decision.WATCH])
def test_no_other_decision_fits(stage: Stage, decision: Decision) -> None:
    held(stage, "stuck>bad")
    handle = "job" if decision is Decision.ADOPT else None
    with pytest.raises(Rejected, match="cannot be decided"):
        resolve.resolve(
            stage.engine, held_step(stage).id, decision, "ada", external_id=handle
        )


def test_an_undo_whose_author_raises_is_tried_again_and_held(stage: Stage) -> None:
    wrong = [True]

    def undo(self: MakeUndone, tx: Tx, job: str) -> ExternalJob[Any] | None:
        if wrong:
            raise RuntimeError("no idea")
        return MakeUndone.undo(self, tx, job)

    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work()
    honest(stage)
    now = stage.task(root)
    assert (now.state, now.step, there(stage)) == ("held", "undo", ["a"])
    assert "no idea" in now.message
    known = stage.engine.read(lambda tx: case(tx, now))
    assert known is not None
    assert len(known.choices) == 2
    wrong.clear()
    resolve.resolve(stage.engine, root.id, Decision.UNDO_AGAIN, "ada")
    stage.work()
    assert (stage.task(root).outcome, there(stage)) == ("failed", [])


def test_leaving_behind_what_cannot_even_be_planned(stage: Stage) -> None:
    def undo(self: MakeUndone, tx: Tx, job: str) -> ExternalJob[Any] | None:
        raise RuntimeError("no idea")

    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work()
    resolve.resolve(stage.engine, root.id, Decision.LEAVE_BEHIND, "ada")
    now = stage.task(root)
    assert now.outcome == "failed"
    assert len((now.error or {})["left_behind"]) == 1
    honest(stage)


def test_what_is_no_external_job_takes_nothing_back(stage: Stage) -> None:
    def undo(self: MakeUndone, tx: Tx, job: str) -> Any:
        return tower("x")

    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work()
    assert "no ExternalJob" in stage.task(root).message


def test_an_undo_that_says_it_returns_a_plan_is_refused(stage: Stage) -> None:
    def undo(self: MakeUndone, tx: Tx, job: str) -> Tower | None:
        return tower("x")

    with pytest.raises(RegistrationRefused, match="its undo returns Tower"):
        stage.vary(MakeUndone, undo=undo)


def test_a_lock_in_the_way_is_waited_for(stage: Stage) -> None:
    """Undo takes its locks late, and must not fail for them."""
    taken = stage.vary(
        Unmake,
        locks=lambda self: [exclusive("thing", self.what)],
        title="Unlock {what}",
    )

    def undo(self: MakeUndone, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return taken(provider=self.provider, what=self.what, made=tx.undone.token)

    holds = stage.vary(Make, locks=lambda self: [exclusive("thing", "a")])
    stage.world.on_poll = lambda job: Running(1) if job == blocker_job() else Done("x")
    blocker = stage.ask(holds(provider="scripted", what="blocker"))

    def blocker_job() -> str | None:
        return next((e.id for e in stage.effects() if e.task_id == blocker.id), None)

    stage.work(rounds=2)
    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="scripted", plan="a>bad"))
    stage.work()
    step = held_step(stage)
    assert "holds" in step.message or "locked" in step.message, step.message
    stage.world.on_poll = None
    stage.work()
    resolve.resolve(stage.engine, step.id, Decision.UNDO_AGAIN, "ada")
    stage.work()
    assert (stage.task(root).outcome, there(stage)) == ("failed", ["blocker"])
    honest(stage)


def test_progress_and_results_count_no_steps_of_an_undo(stage: Stage) -> None:
    task = ended(stage, tower("a>bad"))
    assert task.progress == 50


@pytest.mark.parametrize("at", ["undo.started", "undo.planned"])
def test_a_worker_lost_there(stage: Stage, at: str) -> None:
    kind = stage.vary(Tower, on_restart=OnRestart.FAIL)
    root = stage.ask(kind(provider="scripted", plan="a>b>bad"))
    deaths = iter([at])

    def die(name: str) -> None:
        if name == at and next(deaths, None):
            raise Killed(name)

    with watched(die), pytest.raises(Killed):
        stage.work()
    stage.kill()
    stage.work()
    assert (stage.task(root).outcome, undone(stage)) == ("failed", ["b", "a"])
    honest(stage)


def test_a_deadline_gives_no_step_up(stage: Stage) -> None:
    """Only a person does: it is asked about until then."""
    hurried = stage.vary(Unmake, deadlines=Deadlines(run=0.001), title="Undo {what}")

    def undo(self: MakeUndone, tx: Tx, job: str) -> ExternalJob[Any] | None:
        return hurried(provider=self.provider, what=self.what, made=tx.undone.token)

    kind = stage.vary(Tower, makes=stage.vary(MakeUndone, undo=undo))
    root = stage.ask(kind(provider="scripted", plan="stuck>bad"))
    stage.work()
    assert expire(stage.engine) == 0
    stage.world.on_send = None
    resolve.resolve(stage.engine, held_step(stage).id, Decision.UNDO_AGAIN, "ada")
    stage.work()
    assert (stage.task(root).outcome, there(stage)) == ("failed", [])


def log_of(stage: Stage, task: Task) -> str:
    lines = stage.engine.read(lambda tx: journal.lines(tx, task.id))
    return "\n".join(line.text for line in lines)


def test_a_doubt_of_a_step_is_found_out_first(stage: Stage) -> None:
    """A step is an effect like any other: its lost answer is not a failure."""
    lost = iter([True])

    def on_send(what: str, ctx: Ctx) -> str:
        if what == "-a" and next(lost, None):
            ctx.connect(World).make(what, ctx)
            raise ConnectionError("cut")
        return _bad_is_refused(what, ctx)

    stage.world.on_send = on_send
    task = ended(stage, tower("a>bad"))
    assert (task.outcome, undone(stage)) == ("failed", ["a"])
    effect = next(e for e in stage.effects() if e.operation == "absolute")
    seen = stage.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    assert [it.kind for it in seen] == ["sending", "doubt", "probe"]


@pytest.mark.parametrize("found", [False, True])
def test_left_behind_is_told_by_what_was_watched_too(stage: Stage, found: bool) -> None:
    """A person gave up waiting for one; it may be there, and stand on what was done
    before it: that stays too, and is named. A sweep may have found it meanwhile."""

    class Blind(Make):
        title = "Make {what}, blindly"
        operation = "none"

        def find(self, ctx: Ctx) -> Sequence[Any]:
            return []

    def children(self: Tower, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        first = MakeUndone(provider=self.provider, what="a")
        lost = Blind(provider=self.provider, what="lost")
        return {"a": first, "lost": Child(lost, after=("a",))}

    stage.engine.commands.register(Blind)
    kind = stage.vary(Tower, children=children)

    def on_send(what: str, ctx: Ctx) -> str:
        if what == "lost":
            raise ConnectionError("cut")
        return _bad_is_refused(what, ctx)

    stage.world.on_send = on_send
    root = stage.ask(kind(provider="scripted", plan=""))
    stage.work()
    resolve.resolve(stage.engine, held_step(stage).id, Decision.WATCH, "ada")
    if found:
        lost = next(e for e in stage.effects() if e.state == PlaceholderState.WATCHED)
        stage.engine.write(lambda tx: found_by_a_sweep(tx, lost.id))
    stage.work()
    now = stage.task(root)
    assert (now.outcome, there(stage)) == ("interrupted", ["a"])
    stays, other = (now.error or {})["left_behind"]
    assert stays.startswith("a! at ")
    assert other.startswith("none " if found else "perhaps none ")
    every = stage.engine.read(lambda tx: tasks.descendants(tx, root.id))
    assert all(task.done for task in every)
    honest(stage)


def found_by_a_sweep(tx: Transaction, token: str) -> None:
    effect = placeholders.get(tx, token)
    placeholders.move(tx, effect, PlaceholderState.ORPHAN)


def test_a_deadline_says_once_what_came_of_it(stage: Stage) -> None:
    """What is left behind is said at the end: before that it may be taken back."""
    hasty = stage.vary(Tower, deadlines=Deadlines(run=0.001))
    root = stage.ask(hasty(provider="scripted", plan="a>b>c"))
    for _ in range(2):
        for claimed in stage.claim():
            perform(stage.engine, claimed)
    stage.check()
    early = sa.update(table).where(table.c.id == root.id)
    stage.engine.write(
        lambda tx: tx.execute(early.values(deadline_at=tx.now - timedelta(seconds=9)))
    )
    assert expire(stage.engine) == 1
    stage.work()
    now = stage.task(root)
    assert (now.outcome, there(stage)) == ("failed", [])
    assert "Left behind" not in now.message
    assert now.message.count("Not done: ") == 1


def test_the_order_is_that_of_the_plans_whatever_the_clock_said(stage: Stage) -> None:
    root = stage.ask(tower("a", then="c", broken=True))
    for _ in range(6):
        for claimed in stage.claim():
            perform(stage.engine, claimed)
        stage.check()
        if len(stage.tasks()) == 3:
            break
    early = sa.update(table).where(table.c.params["what"].as_string() == "c")
    stage.engine.write(
        lambda tx: tx.execute(early.values(created_at=tx.now - timedelta(days=1)))
    )
    stage.work()
    assert (stage.task(root).outcome, undone(stage)) == ("failed", ["c", "a"])


def test_undo_is_told_the_mark_that_the_thing_carries(stage: Stage) -> None:
    marks, told = [], []

    def send(what: str, ctx: Ctx) -> str:
        marks.append(ctx.mark)
        return stage.world.make(what, ctx)

    def undo(self: Any, tx: Tx, job: str) -> None:
        told.append(tx.undone.mark)

    stage.world.on_send = send
    ended = stage.run(stage.vary(MakeBadly, undo=undo)(provider="p-1", what="a"))
    assert ended.outcome == "failed"
    assert told == marks
    assert len(told) == 1
