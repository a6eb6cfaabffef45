"""How long a large plan and a large recovery take: each beside a plain commit of as
many rows in the same run, since absolute times are noise on shared machines. The
provider is scripted, inside the test's own process."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from earmark.domain.authoring import Ctx, Tx
from earmark.domain.command import Child, Command, Doubt
from earmark.domain.ids import derived_id, new_id
from earmark.domain.outcome import Done, Found, Job
from earmark.domain.states import PlaceholderState, TaskState
from earmark.engine import describe
from earmark.engine.due import BATCH
from earmark.engine.plan import plan
from earmark.engine.poll import check_provider
from earmark.engine.recover import worker_gone
from earmark.store import placeholders, sends, tasks
from earmark.store.schema import task_log
from earmark.store.schema import tasks as task_table
from tests.engine.world import Make, MakeAll, Stage

CHILDREN = 1_000
#: Interrupted jobs: few for every day, EARMARK_LOST_JOBS=10000 to measure.
LOST = int(os.environ.get("EARMARK_LOST_JOBS", "1000"))
#: Generous: what is asserted is the order of magnitude.
MOST_RATIO = 60
MOST_STATEMENTS = 60
#: Per job, from the dead worker to its end: recovered, found, polled.
MOST_STATEMENTS_EACH = 45


@pytest.fixture
def stage(engine: Any) -> Stage:
    """An engine with the scripted provider."""
    return Stage(engine)


class ManyMade(Make):
    """Polled and looked for many at once; counts the questions."""

    title = "Make {what}, asked about together"

    @classmethod
    def poll_many(cls, ctx: Ctx, jobs: Mapping[str, Job]) -> Mapping[str, Any]:
        ctx.connect(_world()).sent.append("poll_many")
        return {token: Done("made") for token in jobs}

    @classmethod
    def find_many(
        cls, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, Sequence[Found]]:
        ctx.connect(_world()).sent.append("find_many")
        return {doubt.token: [Found(doubt.token, doubt.token)] for doubt in doubts}


def _world() -> Any:
    from tests.engine.world import World

    return World


def plain_commit(stage: Stage, rows: int) -> float:
    """Seconds for a transaction that inserts so many rows at once."""
    task = stage.ask(Make(provider="p-1", what="plain"))

    def work(tx: Any) -> None:
        line = {"task_id": task.id, "at": tx.now, "level": "info", "text": "x" * 500}
        tx.execute(
            sa.insert(task_log),
            [line | {"number": number} for number in range(1000, 1000 + rows)],
        )

    began = time.perf_counter()
    stage.engine.write(work)
    return time.perf_counter() - began


def listen(stage: Stage) -> list[str]:
    """Every statement from now on."""
    statements: list[str] = []
    listener = (stage.engine.database.engine, "before_cursor_execute")
    event.listen(*listener, lambda *told: statements.append(told[2]))
    return statements


def say(capsys: pytest.CaptureFixture[str], stage: Stage, text: str) -> None:
    with capsys.disabled():
        print(f"\n{stage.engine.database.url.drivername}: {text}")


@pytest.mark.slow
def test_a_plan_of_a_thousand(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One transaction, in which SQLite lets nobody else write."""

    def children(self: Any, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {
            f"k{n}": Make(provider="scripted", what=f"t{n}") for n in range(CHILDREN)
        }

    kind = stage.vary(MakeAll, children=children)
    plain = plain_commit(stage, CHILDREN)
    root = stage.ask(kind(provider="p-1", whats=()))
    (claimed,) = [task for task in stage.claim() if task.id == root.id]
    command = describe.load(stage.engine, claimed)
    statements = listen(stage)
    began = time.perf_counter()
    plan(stage.engine, claimed, command)
    took = time.perf_counter() - began
    assert len(stage.effects()) == CHILDREN
    say(
        capsys,
        stage,
        f"plan of {CHILDREN}: {took:.2f} s, {len(statements)} statements; plain "
        f"commit of as many rows {plain * 1e3:.0f} ms; ratio {took / plain:.1f}",
    )
    assert took / plain < MOST_RATIO
    # Nothing is asked child by child of the inventory that they share.
    assert len(statements) < MOST_STATEMENTS


def lose(stage: Stage, count: int) -> list[str]:
    """So many jobs whose workers died in the middle of their send; the rows are written
    as plan and intend write them."""
    with_worker: list[str] = []

    def some(tx: Any, number: int) -> None:
        rows, effects = [], []
        for n in range(number):
            task_id, nonce = new_id(), new_id()
            worker = f"w-{n % 4}"
            rows.append(
                {
                    "id": task_id, "root_id": task_id, "parent_id": None, "key": "",
                    "command": "ManyMade", "command_version": 1,
                    "params": {"provider": "p-1", "what": "x"}, "title": "Make x",
                    "object_kind": "provider", "object_id": "p-1",
                    "provider_id": "p-1", "owner": "local", "zone": "default",
                    "role": "operations", "priority": 100, "weight": 1, "pending": 0,
                    "state": TaskState.RUNNING, "attempt": 1, "worker_id": worker,
                    "started_at": tx.now,
                }
            )  # fmt: skip
            effects.append(
                {
                    "id": derived_id(task_id, "effect"), "task_id": task_id,
                    "root_id": task_id, "provider_id": "p-1", "operation": "token",
                    "effect": "token", "state": PlaceholderState.SENDING,
                    "nonce": nonce, "version": 2, "first_sent_at": tx.now,
                }
            )  # fmt: skip
        tasks.insert(tx, rows)
        placeholders.insert(tx, effects)
        for effect, row in zip(effects, rows, strict=True):
            sends.insert(tx, effect["id"], effect["nonce"], row["worker_id"])
        with_worker.extend(row["id"] for row in rows)

    for _ in range(0, count, 1000):
        stage.engine.write(lambda tx: some(tx, 1000))
    return with_worker


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_recovery_of_many(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """From dead workers to the end of every job, by one recoverer and one poller."""
    stage.engine.commands.register(ManyMade)
    plain = plain_commit(stage, LOST)
    lose(stage, LOST)
    statements = listen(stage)
    began = time.perf_counter()
    recovered = sum(worker_gone(stage.engine, f"w-{n}", "killed") for n in range(4))
    in_doubt = time.perf_counter()
    assert recovered == LOST
    while check_provider(stage.engine, "p-1"):
        pass
    ended = time.perf_counter()
    done = sa.select(sa.func.count()).where(task_table.c.outcome == "ok")
    assert stage.engine.read(lambda tx: tx.execute(done).scalar_one()) == LOST
    calls = len(stage.world.sent)
    say(
        capsys,
        stage,
        f"recovery of {LOST}: in doubt after {in_doubt - began:.1f} s, all ended after "
        f"{ended - began:.1f} s ({(ended - began) / LOST * 1e3:.2f} ms each), "
        f"{len(statements) / LOST:.1f} statements each, "
        f"{calls} calls to the provider; plain commit of as many rows {plain:.2f} s",
    )
    # Found once and polled once, in batches.
    assert calls <= 2 * LOST / BATCH + 4
    assert len(statements) / LOST < MOST_STATEMENTS_EACH
