"""What many who wait cost one web process, and how soon they are told: with streams,
and beside them as many who ask once a second. Few for every day;
EARMARK_CROWD=1000,5000 to measure."""

import os
import statistics
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.store import journal
from tests.performance.crowds import (
    Cost,
    CountedWeb,
    Crowd,
    Seen,
    change,
    living_worker,
    share_of,
    write_running,
)

CROWDS = [int(it) for it in os.environ.get("EARMARK_CROWD", "200").split(",")]
SECONDS = 5 if max(CROWDS) < 1000 else 15
#: What the clients have not seen by then, they will not see.
PATIENCE_SECONDS = 3
#: Generous: what is asserted is the order of magnitude. Seconds for a thousand.
MOST_TOLD_SECONDS = 2.0
MOST_CPU = 0.5
MOST_KB = 100
MOST_STATEMENTS = 100


class Scene:
    """A web process, a worker that is alive, and tasks that somebody waits for."""

    def __init__(
        self, engine: Engine, web: CountedWeb, worker: str, count: int
    ) -> None:
        self.engine, self.web, self.worker = engine, web, worker
        self.ids = write_running(engine, worker, count)

    def listen(self, few: int | None = None) -> Crowd:
        """Every task has a browser that shows the wait for it."""
        waits = (f"wait:/tasks/{it}/wait?next=task" for it in self.ids[:few])
        paths = [f"/events?topics={quote(wait)},recent" for wait in waits]
        return Crowd("listen", self.web.port, paths)

    def poll(self) -> Crowd:
        """Every task has a client that asks for it."""
        paths = [f"/api/v1/tasks/{it}" for it in self.ids]
        return Crowd("poll", self.web.port, paths)

    def change(self, first: int) -> tuple[dict[int, float], Cost, Cost]:
        """One a second; returns the moments of the commits by mark, and the costs
        before and after."""
        commits = {}
        before = self.web.cost()
        for number in range(SECONDS):
            task_id = self.ids[number * len(self.ids) // SECONDS]
            mark = first + number
            commits[mark] = change(self.engine, self.worker, task_id, mark)
            time.sleep(max(0.0, before.at + number + 1 - time.monotonic()))
        return commits, before, self.web.cost()


def plain_commit(engine: Engine) -> float:
    """Seconds for a transaction that writes one row."""
    began = time.perf_counter()
    engine.write(lambda tx: journal.note(tx, "test", "measure", None))
    return time.perf_counter() - began


def told(seen: Seen, commits: dict[int, float]) -> tuple[list[float], str]:
    """How soon, in order and in words."""
    after = seen.told_after(commits)
    half, most = share_of(after, 0.5), share_of(after, 0.99)
    return after, f"told after {half * 1e3:.0f} ms, p99 {most * 1e3:.0f} ms"


def costs(before: Cost, after: Cost) -> str:
    """In words."""
    return (
        f"CPU {after.share(before):.1%}, "
        f"{after.statements_a_second(before):.0f} statements/s"
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", CROWDS)
def test_a_crowd_that_waits(
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    count: int,
) -> None:
    settings.beat_seconds, settings.silence_seconds = 1.0, 10.0
    with (
        living_worker(engine) as worker,
        CountedWeb(settings, tmp_path) as web,
    ):
        scene = Scene(engine, web, worker, count)
        commit = statistics.median(plain_commit(engine) for _ in range(20))
        with scene.listen(few=10) as few:
            few.ready()
            few.stop()
        empty = web.cost()
        with scene.listen() as crowd:
            crowd.ready()
            time.sleep(PATIENCE_SECONDS)
            quiet = web.cost()
            time.sleep(SECONDS)  # what is measured is that nothing happens
            idle = web.cost()
            commits, before, after = scene.change(1)
            time.sleep(PATIENCE_SECONDS)
            seen = crowd.stop()
        each = (after.rss - empty.rss) / count / 1024
        late, in_words = told(seen, commits)
        with capsys.disabled():
            print(
                f"\n{engine.database.url.drivername}: {count} streams: "
                f"{costs(before, after)} (nothing changes: {costs(quiet, idle)}); "
                f"{in_words}, {share_of(late, 0.5) / commit:.0f} × a plain commit of "
                f"{commit * 1e3:.2f} ms; {each:.0f} KB each; "
                f"load {os.getloadavg()[0]:.1f}"
            )
        polled = ask_instead(scene, capsys)
    # All know the last change; on a busy host two of them may come as one.
    assert len(seen.marks[SECONDS]) == count
    assert seen.lost == 0
    assert late[-1] < MOST_TOLD_SECONDS * max(1, count / 1000)
    assert after.share(before) < MOST_CPU * max(1, count / 1000)
    assert each < MOST_KB
    assert after.statements_a_second(before) < MOST_STATEMENTS < polled


def ask_instead(scene: Scene, capsys: pytest.CaptureFixture[str]) -> float:
    """Measure as many who ask once a second; returns the statements a second."""
    with scene.poll() as pollers:
        pollers.ready()
        time.sleep(PATIENCE_SECONDS)
        commits, before, after = scene.change(1001)
        time.sleep(PATIENCE_SECONDS)
        asked = pollers.stop()
    served = sum(before.at <= at < after.at for at, _ in asked.took)
    took = sorted(seconds for _, seconds in asked.took)
    late, in_words = told(asked, commits)
    with capsys.disabled():
        print(
            f"  {len(scene.ids)} who ask once a second: {costs(before, after)}; "
            f"{served / (after.at - before.at):.0f} answers/s, each after "
            f"{share_of(took, 0.5) * 1e3:.0f} ms, p99 {share_of(took, 0.99) * 1e3:.0f} "
            f"ms; {in_words} ({len(late)} of {SECONDS} told); "
            f"load {os.getloadavg()[0]:.1f}"
        )
    return after.statements_a_second(before)
