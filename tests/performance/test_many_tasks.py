"""How long the pages of a long list take, whole, as the browser gets them: each filter
beside an almost empty page of the same process and beside the list without a filter.
Few for every day; EARMARK_MANY_TASKS=1000000 to measure."""

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import httpx
import pytest

from earmark.domain.settings import Settings
from earmark.engine import browse
from earmark.engine.narrow import filter_of
from earmark.engine.runtime import Engine
from earmark.web.application import create_app
from tests.performance.history import APART, write_history

MANY = int(os.environ.get("EARMARK_MANY_TASKS", "100000"))
ROUNDS = 7
#: Generous: what is asserted is that no filter goes through the whole history.
MOST_RATIO = 15


def filters(engine: Engine) -> Iterator[str]:
    """What is common, what is rare and old, and what is not there at all."""
    yield from ("state=done", "state=queued", "outcome=failed", "outcome=expired")
    yield from ("command=RestartVm", "command=PowerMany")
    yield from ("user=eve", "user=nobody", "user=eve&command=RestartVm")
    yield from ("zone=default", "needs=me")
    middle = engine.read(lambda tx: tx.now) - timedelta(seconds=APART * MANY / 2)
    yield f"until={middle:%Y-%m-%dT%H:%M}"
    yield f"since={middle:%Y-%m-%d}&until={middle:%Y-%m-%d}"
    yield f"since={middle:%Y-%m-%d}&outcome=failed"
    yield from ("q=vm-77", "q=nowhere", "q=nowhere&outcome=failed")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_page_of_a_long_list(
    engine: Engine, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    write_history(engine, MANY)
    app = create_app(engine, settings)

    async def measure() -> dict[str, float]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1"
        ) as client:

            async def median(path: str) -> float:
                took = []
                for _ in range(ROUNDS):
                    began = time.perf_counter()
                    answer = await client.get(path)
                    took.append(time.perf_counter() - began)
                    assert answer.status_code == 200, answer.text
                return statistics.median(took)

            paths = ["/templates", "/tasks"]
            paths += [f"/tasks?{words}" for words in filters(engine)]
            return {path: await median(path) for path in paths}

    # Aside, since a browser of another test may have a loop in this thread.
    with ThreadPoolExecutor(1) as aside:
        took = aside.submit(asyncio.run, measure()).result()
    app.state.site.watcher.close()
    bare, plain = took["/templates"], took["/tasks"]
    with capsys.disabled():
        print(f"\n{engine.database.url.drivername}: {MANY} tasks")
        for path, seconds in took.items():
            print(
                f"{seconds * 1e3:8.1f} ms  {seconds / bare:6.1f} × a bare page  "
                f"{seconds / plain:5.1f} × the list  {path}"
            )
    slow = {path for path, seconds in took.items() if seconds > plain * MOST_RATIO}
    assert not slow


@pytest.mark.slow
def test_what_is_rare_is_there(engine: Engine) -> None:
    """The figures are worth nothing if the filters find nothing."""
    write_history(engine, 12_000)
    for words in ("outcome=failed", "command=RestartVm", "user=eve", "zone=east"):
        name, _, value = words.partition("=")
        which = filter_of({name: value})
        assert engine.read(partial(browse.list_tasks, which=which)), words
