"""Restored (rule 15): what may have been sent before the store was put back is asked
about, though this store has no request of it. `find` then knows what is asked for as
well as ever; and where nobody can know it, nothing is concluded."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Doubt
from earmark.domain.errors import NotSent, Rejected
from earmark.domain.outcome import Done, Failed, Found, Running
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.cancel import cancel
from earmark.engine.due import ERROR_BUDGET
from earmark.engine.plan import plan
from tests.engine.races import honest
from tests.engine.test_restored import (
    MakeAmong,
    MakeNamed,
    horizon_passes,
    restored,
)
from tests.engine.world import Make, MakeTagged, Stage, World


class Asks(Make):
    """Knows what it asks for by what `prepare` returned alone; class `token`."""

    title = "Make {what} as prepared"

    def prepare(self, ctx: Ctx) -> Any:
        assert ctx.connect(World) is not None
        return {"what": self.what}

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(World).send(ctx.request["what"], ctx)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        assert ctx.request["what"] == self.what
        return ctx.connect(World).find(ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        assert ctx.request["what"] == self.what
        return super().poll(ctx, job)


class AsksTagged(Asks):
    title = "Make {what} as prepared, marked"
    operation = "tag"


class AsksNamed(Asks):
    title = "Make {what} as prepared, by name"
    operation = "identity"


class AsksSo(Asks):
    title = "Make it {what} as prepared"
    operation = "absolute"


class AsksSoUndone(AsksSo):
    """Who takes it back has to know whether it is ours."""

    title = "Make it {what} as prepared, to be undone"

    def undo(self, tx: Tx, job: str) -> None:
        return None


class AsksForMany(AsksTagged):
    title = "Make {what} as prepared, with others"

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        assert all(doubt.request["what"] for doubt in doubts)
        world = ctx.connect(World)
        return {doubt.token: world.find(doubt.token) for doubt in doubts}


KINDS: list[type[Asks]] = [Asks, AsksTagged, AsksNamed, AsksSo, AsksForMany]


@pytest.fixture
def stage(stage: Stage) -> Stage:
    known: tuple[type[Make], ...] = (*KINDS, AsksSoUndone, MakeNamed, MakeAmong)
    for command in known:
        stage.engine.commands.register(command)
    return stage


def cancelled(stage: Stage, kind: type[Make], *, landed: bool) -> Task:
    """One that was promised and never prepared, as far as the copy knows, and that
    somebody cancels. It may have been sent since."""
    task = restored(stage, kind, landed=landed)
    (claimed,) = stage.claim("w-9")
    plan(stage.engine, claimed, describe.load(stage.engine, claimed))
    stage.kill("w-9")
    cancel(stage.engine, task.id, "ada")
    assert stage.task(task).state == "cancelling"
    return task


def all_passes(stage: Stage) -> None:
    for _ in range(3):
        stage.work(rounds=4)
        honest(stage)
        horizon_passes(stage)
    stage.work()
    honest(stage)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("landed", [True, False])
def test_what_was_cancelled_unprepared_is_found_out(
    stage: Stage, kind: type[Asks], landed: bool
) -> None:
    task = cancelled(stage, kind, landed=landed)
    all_passes(stage)
    ended = stage.task(task)
    assert ended.outcome == ("ok" if landed else "cancelled"), ended.message
    assert stage.world.sent == []


def sated(stage: Stage, kind: type[Asks]) -> type[Asks]:
    """What it asks for is there already, says its `prepare`: by its own doing?"""
    return stage.vary(kind, prepare=lambda self, ctx: Done("there already"))


@pytest.mark.parametrize("ask", [restored, cancelled])
def test_of_a_state_it_counts_that_it_is_reached(stage: Stage, ask: Any) -> None:
    """Rule 12: whoever brought it about; when no request can take it back any more."""
    task: Task = ask(stage, sated(stage, AsksSo), landed=False)
    stage.work()
    honest(stage)
    waits = stage.task(task)
    assert waits.state in ("waiting", "cancelling")
    assert "may still arrive" in waits.message
    horizon_passes(stage)
    stage.work()
    honest(stage)
    ended = stage.task(task)
    assert (ended.outcome, ended.result) == ("ok", "there already")
    assert stage.world.sent == []


def test_so_it_does_of_a_job_that_is_followed(stage: Stage) -> None:
    """Found without a request, and `poll` asks for one: our own job has done it."""

    def find(self: Asks, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(World).find(ctx.token)

    kind = stage.vary(sated(stage, AsksSo), find=find, title="Make it {what} at last")
    task = cancelled(stage, kind, landed=True)
    all_passes(stage)
    ended = stage.task(task)
    assert (ended.state, ended.outcome) == ("done", "ok"), ended.message
    assert stage.world.sent == []


@pytest.mark.parametrize("kind", [AsksTagged, AsksNamed, AsksSoUndone])
@pytest.mark.parametrize("landed", [True, False])
def test_of_a_thing_it_says_not_whose_it_is(
    stage: Stage, kind: type[Asks], landed: bool
) -> None:
    """Neither adopted nor given up: a person is told why it cannot be asked about."""
    task = restored(stage, sated(stage, kind), landed=landed)
    for _ in range(ERROR_BUDGET):
        stage.work(rounds=2)
        horizon_passes(stage)
    now = stage.task(task)
    assert (now.state, stage.world.sent) == ("held", [])
    assert "There is nothing to do any more" in now.message


@pytest.mark.parametrize(
    ("error", "state"), [(NotSent("no way"), "cancelling"), (Rejected("gone"), "held")]
)
def test_what_cannot_be_worked_out_is_an_error_of_asking(
    stage: Stage, error: Exception, state: str
) -> None:
    def prepare(self: Asks, ctx: Ctx) -> Any:
        raise error

    task = cancelled(stage, stage.vary(AsksSo, prepare=prepare), landed=True)
    for _ in range(ERROR_BUDGET + 5):
        stage.work(rounds=1)
        horizon_passes(stage)
    now = stage.task(task)
    assert (now.state, str(error) in now.message) == (state, True)


def test_a_find_that_needs_no_request_prepares_none(stage: Stage) -> None:
    """What `prepare` has to say of the world by now may be wrong for it."""
    prepared = []
    kind = stage.vary(MakeTagged, prepare=lambda self, ctx: prepared.append(ctx.token))
    task = cancelled(stage, kind, landed=True)
    stage.work()
    assert (stage.task(task).outcome, prepared) == ("ok", [])


def test_nor_does_one_that_was_prepared_to_none(stage: Stage) -> None:
    """None is what was asked for, if it was sent since."""
    prepared, seen = [], []

    def find(self: Make, ctx: Ctx) -> Sequence[Found]:
        seen.append(ctx.request)
        return MakeTagged.find(self, ctx)

    def send(what: str, ctx: Ctx) -> str:
        stage.world.make(what, ctx)
        raise ConnectionResetError("lost")

    kind = stage.vary(
        MakeTagged, prepare=lambda self, ctx: prepared.append(1), find=find
    )
    task = restored(stage, kind, landed=False)
    stage.work(rounds=4)
    horizon_passes(stage)
    stage.world.on_send = send
    stage.work(rounds=3)
    before = len(prepared)
    stage.work()
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])
    assert (len(prepared), set(seen)) == (before, {None})


def test_before_the_first_send_it_is_known_too(stage: Stage) -> None:
    """Class `tasks` records what fits the request before that leaves (rule 3)."""
    seen = []

    def find(self: Make, ctx: Ctx) -> Sequence[Found]:
        seen.append(ctx.request)
        return []

    kind = stage.vary(MakeAmong, prepare=lambda self, ctx: "as wanted", find=find)
    assert stage.run(kind(provider="p-1", what="a")).outcome == "ok"
    assert seen == ["as wanted"]


def test_while_nobody_is_there_to_prepare_it_again_nobody_is_asked(
    stage: Stage,
) -> None:
    """The provider deduplicates, so it may be sent: an outage only delays that."""
    fate: list[Any] = [Done("there already"), *[NotSent("no way")] * 3]

    def prepare(self: Make, ctx: Ctx) -> Any:
        said = fate.pop(0) if fate else None
        if isinstance(said, Exception):
            raise said
        return said

    task = restored(stage, stage.vary(Make, prepare=prepare), landed=False)
    stage.work(rounds=3)
    while fate:
        now = stage.task(task)
        assert now.state in ("waiting", "queued"), now.message
        stage.work(rounds=1)
    stage.work()
    honest(stage)
    assert (stage.task(task).outcome, stage.world.sent) == ("ok", ["a"])
