"""What one author gets wrong, or one effect suffers, stands in no other's way; and
nothing leaves once the verdict has fallen (rules 4, 7, 8, 10, 11, 13, 19)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Child, Command
from earmark.domain.errors import NotSent, Stale, Unavailable
from earmark.domain.lock import Lock, exclusive, shared
from earmark.domain.outcome import Done, Failed, Found, Job, Running
from earmark.engine import describe, recover
from earmark.engine.judge import MOST_SENDS
from earmark.engine.perform import perform
from earmark.engine.plan import plan
from earmark.engine.send import intend
from earmark.store import locks, placeholders
from tests.engine.world import Make, MakeAll, MakeTagged, Stage


class Troubled(Make):
    """Goes wrong while it is polled, as `what` says."""

    title = "Trouble by {what}"

    def poll(self, ctx: Ctx, job: str) -> Any:
        wrong: dict[str, Any] = {
            "percent": Running(percent="x"),  # type: ignore[arg-type]
            "message": Running(message=None),  # type: ignore[arg-type]
            "failed": Failed(None),  # type: ignore[arg-type]
            "nothing": None,
            "nul": Done("a\x00b"),
            "nan": Done(float("nan")),
            "surrogate": Running(message="\ud800"),
        }
        if self.what == "exit":
            raise SystemExit(3)
        return wrong.get(self.what, Running(5, "going on"))

    def progressed(self, tx: Tx, running: Running) -> None:
        if self.what == "progressed":
            raise RuntimeError("the author's mistake")
        if self.what == "stale":
            raise Stale("posing as the store")

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return [None]  # type: ignore[list-item]


class TroubledMany(Make):
    """Its batch poll returns nonsense."""

    title = "Trouble by many"

    @classmethod
    def poll_many(cls, ctx: Ctx, jobs: Mapping[str, Job]) -> Any:
        return None


class PosesAsStore(Make):
    """Its `finish` raises what only the store should."""

    title = "Pose"

    def finish(self, tx: Tx, result: str) -> None:
        raise Unavailable("not really")


WRONGS = (
    *("percent", "message", "failed", "nothing", "nul", "nan", "surrogate"),
    *("exit", "progressed", "stale"),
)


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_troubled_effect_harms_no_other(stage: Stage, wrong: str) -> None:
    stage.engine.commands.register(Troubled)
    stage.ask(Troubled(provider="p-1", what=wrong))
    sane = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=4)
    assert stage.task(sane).outcome == "ok"


@pytest.mark.parametrize("kind", [TroubledMany, PosesAsStore])
def test_nor_does_a_troubled_command(stage: Stage, kind: type[Make]) -> None:
    stage.engine.commands.register(kind)
    troubled = stage.ask(kind(provider="p-1", what="a"))
    sane = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=4)
    assert stage.task(sane).outcome == "ok"
    if kind is PosesAsStore:
        assert "finishing failed" in stage.task(troubled).message


def test_garbage_from_find_is_an_error_of_the_probe(stage: Stage) -> None:
    stage.engine.commands.register(Troubled)

    def lose(what: str, ctx: Ctx) -> str:
        raise ConnectionResetError

    stage.world.on_send = lose
    stage.ask(Troubled(provider="p-1", what="a"))
    stage.work(rounds=2)
    stage.world.on_send = None
    sane = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=4)
    assert stage.task(sane).outcome == "ok"


def test_what_this_process_does_not_know_is_left_to_others(stage: Stage) -> None:
    """Rule 19, for polling too: no look, no lease, no hot loop."""
    stage.ask(Make(provider="p-1", what="a"))
    stage.world.on_poll = lambda job: Running(5)
    stage.work(rounds=2)
    known = stage.engine.commands.pairs()
    strangers = [pair for pair in known if pair[0] != "Make"]

    def due(pairs: Any) -> Any:
        return stage.engine.read(lambda tx: placeholders.next_due(tx, "p-1", pairs))

    assert due(known) is not None
    assert due(strangers) is None


def fail_the_first(stage: Stage, then: Any) -> None:
    """The first effect's job fails; what is sent second goes by `then`."""

    def send(what: str, ctx: Ctx) -> str:
        if what == "a":
            return stage.world.make(what, ctx)
        return str(then(what, ctx))

    stage.world.on_send = send


def test_nothing_is_sent_again_after_the_verdict(stage: Stage) -> None:
    def lose(what: str, ctx: Ctx) -> str:
        raise ConnectionResetError("lost")

    fail_the_first(stage, lose)
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work(rounds=1)  # the plan
    first, second = (stage.tasks()[1], stage.tasks()[2])
    for task in stage.claim():
        perform(stage.engine, task)
    stage.world.on_poll = lambda job: Failed("no")
    stage.work()
    assert stage.world.sent == ["a", "b"]
    assert stage.task(first).outcome == "failed"
    assert stage.task(second).outcome == "cancelled"
    assert stage.task(root).outcome == "failed"
    assert [e.state for e in stage.effects()] == ["settled", "dropped"]


def test_nor_what_could_not_be_sent_before(stage: Stage) -> None:
    def refuse(what: str, ctx: Ctx) -> str:
        if stage.task(root).verdict is None:
            raise NotSent("no route")
        return stage.world.make(what, ctx)

    fail_the_first(stage, refuse)
    stage.world.on_poll = lambda job: Failed("no")
    root = stage.ask(MakeAll(provider="p-1", whats=("a", "b")))
    stage.work()
    assert len(stage.world.jobs) == 1
    assert stage.tasks()[2].outcome in ("cancelled", "failed")


class Later(MakeAll):
    """A composite whose second part is a composite that comes after the first."""

    title = "Later"

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        inner = MakeAll(provider=self.provider, whats=("x",))
        return {
            "a": Make(provider=self.provider, what="a"),
            "b": Make(provider=self.provider, what="b"),
            "inner": Child(inner, after=("a",)),
        }


def test_no_plan_is_written_after_the_verdict(stage: Stage) -> None:
    stage.engine.commands.register(Later)
    stage.ask(Later(provider="p-1", whats=()))
    stage.work(rounds=1)
    for task in stage.claim():
        perform(stage.engine, task)
    ids = {
        e.id: t.key for e in stage.effects() for t in stage.tasks() if t.id == e.task_id
    }
    stage.world.on_poll = lambda job: Done("done") if ids[job] == "a" else Failed("no")
    inner: list[Any] = []
    stage.check()
    inner = stage.claim()
    stage.check()
    for task in inner:
        perform(stage.engine, task)
    stage.work()
    assert "x" not in stage.world.sent
    assert all(task.done for task in stage.tasks())


@pytest.mark.parametrize("kind", [Make, MakeTagged])
def test_what_is_lost_every_time_is_held_at_last(
    stage: Stage, kind: type[Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    operations: Any = stage.engine.connectors["scripted"].operations
    for name, operation in operations.items():
        impatient = replace(operation, hold_after=timedelta(microseconds=1))
        monkeypatch.setitem(operations, name, impatient)

    def lose(what: str, ctx: Ctx) -> str:
        raise ConnectionResetError("lost")

    stage.world.on_send = lose
    task = stage.ask(kind(provider="p-1", what="a"))
    for _ in range(4 * MOST_SENDS):
        stage.work(rounds=2)
    assert stage.task(task).state == "held"
    assert len(stage.world.sent) <= MOST_SENDS


def test_a_send_that_kills_its_workers_is_held(stage: Stage) -> None:
    task = stage.ask(Make(provider="p-1", what="a"))
    for number in range(2 * recover.MOST_RECOVERIES):
        claimed = stage.claim(f"w-{number}", 1)
        if not claimed:
            break
        planned = plan(
            stage.engine, claimed[0], describe.load(stage.engine, claimed[0])
        )
        effect = stage.engine.read(lambda tx: placeholders.of_task(tx, task.id))
        assert effect is not None
        operation = stage.engine.operation(stage.provider, effect.operation)
        intend(stage.engine, planned, effect, operation, None)
        recover.worker_gone(stage.engine, f"w-{number}", "killed by its send")
        stage.check()
    held = stage.task(task)
    assert held.state == "held"
    assert "workers were lost" in held.message


class Weaker(MakeAll):
    """Its child wants the parent's lock only shared."""

    title = "Weaker"

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {"a": SharedMake(provider=self.provider, what="a")}


class SharedMake(Make):
    title = "Make {what}, shared"

    def locks(self) -> Sequence[Lock]:
        return [shared("things", self.provider)]


def test_a_childs_lock_never_weakens_its_roots(stage: Stage) -> None:
    stage.engine.commands.register(SharedMake)
    stage.engine.commands.register(Weaker)
    stage.ask(Weaker(provider="p-1", whats=()))
    stage.work(rounds=1)
    (held,) = stage.engine.read(lambda tx: list(locks.on(tx, "things", "p-1")))
    assert held.mode == exclusive("things", "p-1").mode
