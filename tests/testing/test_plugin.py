"""What the plugin gives an author's tests; and that it costs others nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from earmark import Ctx, Deadlines, Failed, Running
from earmark.domain.errors import BadInput
from earmark.testing import Bench
from earmark.testing.bench import open_bench
from tests.testing import acme
from tests.testing.acme import FakeAcme

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as made:
        made.add(FakeAcme())
        yield made


def test_a_command_runs_to_its_end(bench: Bench) -> None:
    task = bench.run(acme.MakeThing())
    assert (task.outcome, task.result) == ("ok", "thing-1")
    (effect,) = bench.effects(task)
    assert (effect.id, effect.there) == ("thing-1", True)
    assert bench.log(task)[-1] == "Ended ok."


def test_a_plan_runs_to_its_end(bench: Bench) -> None:
    task = bench.run(acme.MakePair())
    assert task.outcome == "ok"
    assert [effect.id for effect in bench.effects(task)] == ["thing-1", "thing-2"]
    assert "Make right: Ended ok." in bench.log(task)


def test_a_worker_that_dies_is_followed_by_another(bench: Bench) -> None:
    with bench.crash_at("send.answered"):
        task = bench.run(acme.MakeMarkedThing())
    assert task.outcome == "ok"
    assert len(bench.effects(task)) == 1
    assert any("killed at send.answered" in line for line in bench.log(task))


def test_a_boundary_that_nobody_comes_to_is_said(bench: Bench) -> None:
    with (
        pytest.raises(AssertionError, match=r"no worker came to cancel\.asked"),
        bench.crash_at("cancel.asked"),
    ):
        bench.run(acme.MakeThing())
    with pytest.raises(BadInput, match="no boundary"), bench.crash_at("send.sent"):
        pass


def test_its_third_turn(bench: Bench) -> None:
    with bench.crash_at("claim.committed:3"):
        first, second = bench.run(acme.MakePair()), bench.run(acme.MakeThing())
    assert (first.outcome, second.outcome) == ("ok", "ok")


class TakesAnHour(acme.MakeThing):
    def poll(self, ctx: Ctx, job: str) -> Any:
        assert ctx.sent_at is not None
        late = ctx.now() - ctx.sent_at > timedelta(hours=1)
        return super().poll(ctx, job) if late else Running()


class IsStopped(TakesAnHour):
    deadlines = Deadlines(run=600)

    def poll(self, ctx: Ctx, job: str) -> Any:
        return Failed("stopped") if ctx.cancelled else super().poll(ctx, job)

    def cancel(self, ctx: Ctx, job: str) -> None:
        """Polling tells that it worked."""


def test_time_passes_without_waiting(bench: Bench) -> None:
    before = bench.clock.now
    assert bench.run(TakesAnHour()).outcome == "ok"
    assert bench.clock.now - before > timedelta(hours=1)


def test_deadlines_are_told_by_the_same_clock(bench: Bench) -> None:
    task = bench.run(IsStopped())
    assert (task.outcome, "Its time was over" in task.message) == ("failed", True)


def test_a_test_moves_the_clock(bench: Bench) -> None:
    task = bench.ask(acme.MakeThing())
    bench.clock.advance(3600)
    bench.work()
    ended = bench.task(task)
    assert ended.finished_at is not None
    assert ended.finished_at - ended.created_at > timedelta(hours=1)


AN_AUTHORS = """
from tests.testing.acme import FakeAcme, MakeMarkedThing

def test_with_the_engine(earmark):
    earmark.add(FakeAcme(), name="world")
    with earmark.crash_at("send.committed"):
        task = earmark.run(MakeMarkedThing())
    assert task.outcome == "ok"
    assert len(earmark.effects(task)) == 1
    earmark.clock.advance(60)

def test_with_verify(verify):
    assert verify(MakeMarkedThing(), world=FakeAcme(), replay="lose=1").ok
"""
ANOTHERS = """
import sys

def test_that_uses_nothing():
    loaded = [name for name in sys.modules if name.split(".")[0] in
              ("sqlalchemy", "alembic", "fastapi", "cryptography", "click")]
    assert not loaded
"""


@pytest.mark.parametrize("text", [AN_AUTHORS, ANOTHERS], ids=["uses", "does not use"])
def test_in_a_run_of_pytests_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    installed = [it for it in entry_points(group="pytest11") if it.name == "earmark"]
    asked = [] if installed else ["-p", "earmark.testing.plugin"]
    # The author's fake is a module of these tests.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ours = {"PYTHONPATH": path} | (
        {} if installed else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked,
         "--rootdir", str(tmp_path), "-W", "error", str(tmp_path)],
        env=os.environ | ours,
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_kit_needs_no_pytest() -> None:
    code = """
import sys
sys.modules["pytest"] = None
from earmark.testing import Effect, Report, VerificationFailed, World, verify
import earmark.testing.bench
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
