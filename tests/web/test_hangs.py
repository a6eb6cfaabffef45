"""No wait turns for ever: whatever stands still, its page says so in ten seconds, for
each of the three things that people wait for."""

from __future__ import annotations

import signal
from http import HTTPStatus

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from earmark.domain.states import Outcome, TaskState
from earmark.store import history
from earmark.store.database import Transaction
from earmark.store.schema import tasks
from tests.peers.web_proxy import WebProxy

from .flows import Flow, OpenConsole, expect_state
from .house import House, task_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 10_000


def expect_said(flow: Flow, page: Page, words: str) -> None:
    expect(flow.says(page)).to_contain_text(words, timeout=SOON, ignore_case=True)


def delete(tx: Transaction, task_id: str) -> None:
    """End it and delete it before anybody can see that it has ended."""
    task = sa.update(tasks).where(tasks.c.id == task_id)
    over = {
        "state": TaskState.DONE,
        "outcome": Outcome.CANCELLED,
        "finished_at": tx.now,
    }
    tx.execute(task.values(over))
    history.delete(tx, [task_id])


def test_a_zone_without_workers(page: Page, flow: Flow, idle_house: House) -> None:
    flow.ask(page, idle_house.url)
    expect_said(flow, page, "no live worker with role operations in zone default")


def test_a_task_that_is_deleted(page: Page, flow: Flow, idle_house: House) -> None:
    house = idle_house
    if isinstance(flow, OpenConsole):  # nobody is asked for one without a worker
        house.worker.start()
        flow.hang()
    flow.ask(page, house.url)
    expect_said(flow, page, flow.meanwhile)
    task_id = house.json("/tasks")[0]["id"]
    house.engine.write(lambda tx: delete(tx, task_id))
    expect_said(flow, page, "task is not there any more")
    expect(page.get_by_role("button", name="Continue in the background")).to_be_hidden()
    if not isinstance(flow, OpenConsole):
        assert task_in(page.url) == task_id
        answer = house.get(f"/tasks/{task_id}/wait?next=task")
        assert answer.status_code == 404
        assert "This task was deleted" in answer.text


def test_a_session_that_is_over(
    page: Page, flow: Flow, idle_house: House, proxy: WebProxy
) -> None:
    """A login stands before the server, and lets this browser in no more."""
    flow.begin(page, proxy.url)
    with proxy.answering(HTTPStatus.UNAUTHORIZED):
        words = page.get_by_role("heading", name="401 Unauthorized")
        expect(words).to_be_visible(timeout=SOON)
    page.reload()
    if isinstance(flow, OpenConsole):
        expect_state(page, "connected")
    else:
        expect_said(flow, page, "no live worker")


@pytest.mark.parametrize("flow", ["open a console"], indirect=True)
def test_a_console_that_is_refused_says_so(
    page: Page, flow: Flow, proxy: WebProxy
) -> None:
    flow.begin(page, proxy.url)
    with proxy.answering(HTTPStatus.FORBIDDEN, only=f"{flow.came_from}/console/"):
        expect_said(flow, page, "you are logged out")
        expect_state(page, "ended")
    page.get_by_role("button", name="Reconnect").click()
    expect_state(page, "connected")


def test_a_provider_that_never_answers_and_then_a_worker_that_is_dead(
    page: Page, flow: Flow, idle_house: House
) -> None:
    house = idle_house
    house.worker.start()
    flow.hang()
    flow.ask(page, house.url)
    expect_said(flow, page, flow.hung)
    if isinstance(flow, OpenConsole):
        page.get_by_role("button", name="Reconnect").click()
        expect_said(flow, page, flow.meanwhile)
    else:
        expect_said(flow, page, "looked at next")
    house.worker.stop(signal.SIGKILL)
    expect_said(flow, page, "which is not heard any more")
