"""How soon a person sees what happens, in a real browser: each figure beside a bare
page of the same server and a bare commit of the same store in the same run, since
absolute times are noise on shared machines. The aims are 300, 150 and 50 ms; what is
asserted is the order of magnitude."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page

from earmark.engine.runtime import Engine
from earmark.store import journal, tasks
from earmark.store.database import Transaction
from tests.performance.crowds import change, living_worker, share_of, write_running

from .house import House
from .test_live import expect_live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROUNDS = 20
ROWS, CHANGED = 100, 50
MOST_VISIBLE_SECONDS = 1.5
MOST_CLICK_SECONDS = 1.5
MOST_PAINT_SECONDS = 0.5

#: Notes when each mark was in the page first.
SEE_MARKS = """() => {
  window.seen = {};
  const look = () => {
    const panel = document.querySelector("[id^=wait-panel-]").textContent;
    const mark = panel.match(/mark-(\\d{6})/)?.[1];
    if (mark) window.seen[Number(mark)] ??= Date.now();
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, characterData: true,
  });
}"""

#: Notes when something was clicked, and when the page that it led to was painted.
SEE_CLICKS = """
addEventListener("click", () => sessionStorage.setItem("clicked", Date.now()), true);
addEventListener("DOMContentLoaded", () => {
  const task = new URLSearchParams(location.search).get("task");
  const row = `[id^=vm-tasks-] a[href="/tasks/${task}"]`;
  if (task && !document.querySelector(row)) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    sessionStorage.setItem("painted", Date.now());
  }));
});
"""

#: Times from the arrival of a message to the frame that shows it.
SEE_PAINTS = """() => {
  window.painted = [];
  let arrived = 0;
  document.addEventListener("htmx:sse:before:message", () => {
    arrived = performance.now();
  }, true);
  document.addEventListener("htmx:sse:after:message", () => {
    const began = arrived;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const marks = document.body.textContent.match(/mark-\\d{6}/g) ?? [];
      const newest = marks.sort().at(-1);
      const rows = marks.filter((it) => it === newest).length;
      window.painted.push([performance.now() - began, newest, rows]);
    }));
  }, true);
}"""

#: The page forbids `eval`, which Playwright's own way of waiting needs.
UNTIL = """([what, value]) => new Promise((done) => {
  const ways = {
    seen: () => window.seen[value],
    painted: () => window.painted.at(-1)?.[1] === value,
    shown: () => sessionStorage.getItem("painted"),
  };
  const look = () => (ways[what]() ? done() : setTimeout(look, 5));
  look();
})"""


def bare_commit(engine: Engine) -> float:
    """Seconds for a transaction that writes one row; the median of many."""

    def once() -> float:
        began = time.perf_counter()
        engine.write(lambda tx: journal.note(tx, "test", "measure", None))
        return time.perf_counter() - began

    return statistics.median(once() for _ in range(ROUNDS))


def clicked(page: Page, selector: str) -> float:
    """Click; seconds until what it led to was painted."""
    page.evaluate("sessionStorage.clear()")
    with page.expect_navigation():
        page.click(selector)
    page.evaluate(UNTIL, ["shown", None])
    clicked, painted = page.evaluate("[sessionStorage.clicked, sessionStorage.painted]")
    return (float(painted) - float(clicked)) / 1000


def bare_page(page: Page, house: House) -> float:
    """Seconds from a click to an almost empty page; the median of some."""
    page.add_init_script(SEE_CLICKS)
    page.goto(f"{house.url}/workers")
    return statistics.median(
        clicked(page, f"header a[href='/{name}']")
        for name in ("templates", "workers") * 3
    )


def say(
    capsys: pytest.CaptureFixture[str],
    what: str,
    took: list[float],
    page: float,
    commit: float,
) -> float:
    """Print it; returns the median."""
    median, most = statistics.median(took), share_of(sorted(took), 0.95)
    with capsys.disabled():
        print(
            f"\n{what}: {median * 1e3:.0f} ms, p95 {most * 1e3:.0f} ms; "
            f"{median / page:.1f} × a bare page of {page * 1e3:.0f} ms, "
            f"{median / commit:.0f} × a bare commit of {commit * 1e3:.2f} ms"
        )
    return median


def test_from_a_commit_to_the_browser(
    house: House, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = bare_page(page, house)
    commits = {}
    with living_worker(house.engine) as worker:
        (task_id,) = write_running(house.engine, worker, 1)
        page.goto(f"{house.url}/tasks/{task_id}/wait?next=task")
        expect_live(page)
        page.evaluate(SEE_MARKS)
        for mark in range(1, ROUNDS + 1):
            change(house.engine, worker, task_id, mark)
            commits[mark] = time.time()
            page.evaluate(UNTIL, ["seen", mark])
            # Not in step with the rounds of the watcher.
            page.wait_for_timeout(60 + mark * 7)
    seen: dict[str, float] = page.evaluate("window.seen")
    took = [seen[str(mark)] / 1000 - at for mark, at in commits.items()]
    median = say(capsys, "commit → visible", took, bare, bare_commit(house.engine))
    assert median < MOST_VISIBLE_SECONDS


def test_from_a_click_to_the_row(
    house: House, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = bare_page(page, house)
    vm = house.vm("web01")["id"]
    took = []
    for _ in range(ROUNDS):
        page.goto(f"{house.url}/vms/{vm}")
        took.append(clicked(page, "#power-stop"))
    median = say(capsys, "click → row", took, bare, bare_commit(house.engine))
    assert median < MOST_CLICK_SECONDS


def test_from_many_changes_to_the_paint(
    house: House, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = bare_page(page, house)
    ids = write_running(house.engine, "nobody", ROWS)
    page.goto(f"{house.url}/tasks")
    expect_live(page)
    page.evaluate(SEE_PAINTS)

    def rename(tx: Transaction, mark: str) -> None:
        for task in tasks.by_ids(tx, ids[::2]).values():
            tasks.change(tx, task, title=mark)

    marks = [f"mark-{number:06}" for number in range(900_001, 900_001 + ROUNDS)]
    for mark in marks:
        house.engine.write(partial(rename, mark=mark))
        page.evaluate(UNTIL, ["painted", mark])
    painted: list[list[Any]] = page.evaluate("window.painted")
    first = {mark: (ms / 1000, rows) for ms, mark, rows in reversed(painted)}
    # Those of the table come at once, and those at the foot of the page with them.
    assert all(first[mark][1] >= CHANGED for mark in marks)
    took = [first[mark][0] for mark in marks]
    median = say(
        capsys,
        f"{CHANGED} changed rows of {ROWS} → painted",
        took,
        bare,
        bare_commit(house.engine),
    )
    assert median < MOST_PAINT_SECONDS
