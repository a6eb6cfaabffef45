"""No wait turns for ever: whatever stands still, its page says so in ten seconds."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from earmark.store import schema

from .house import House, task_in
from .test_real_pages import SLOW, expect_live

pytestmark = pytest.mark.browser
SOON = 10_000


@pytest.fixture
def silence() -> Iterator[str]:
    """A provider that takes every call and never answers one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def wait_for_verification(page: Page, house: House, url: str) -> str:
    """The wait's page, open and listening; returns its address."""
    form = {
        "name": "mute",
        "kind": "lab",
        "zone": "default",
        "url": url,
        "username": "operator",
        "password": "anything",
    }
    wait = house.post("/providers", **form).headers["location"]
    page.goto(house.url + wait)
    expect_live(page)
    return str(wait)


def panel(page: Page) -> Any:
    return expect(page.locator("section[id^=wait-panel]"))


def test_a_zone_without_workers(page: Page, quiet_house: House, silence: str) -> None:
    wait_for_verification(page, quiet_house, silence)
    panel(page).to_contain_text(
        "no live worker with role operations in zone default", timeout=SOON
    )


def test_a_provider_that_never_answers_and_then_a_worker_that_is_dead(
    page: Page, quiet_house: House, silence: str
) -> None:
    house = quiet_house
    house.worker.start()
    wait_for_verification(page, house, silence)
    badge = page.locator("section[id^=wait-panel] .badge")
    expect(badge).to_have_text("Running", timeout=SLOW)
    panel(page).to_contain_text("an answer to the call under way", timeout=SOON)
    panel(page).to_contain_text("Looked at next")
    house.worker.stop(signal.SIGKILL)
    panel(page).to_contain_text("which is not heard any more", timeout=SOON)


def test_a_task_that_is_deleted(page: Page, quiet_house: House, silence: str) -> None:
    house = quiet_house
    wait = wait_for_verification(page, house, silence)
    task_id = task_in(wait)

    def prune(tx: Any) -> None:
        logs, secrets, tasks = schema.task_log, schema.secrets, schema.tasks
        keys = schema.idempotency
        for table in (logs, secrets, keys):
            tx.execute(sa.delete(table).where(table.c.task_id == task_id))
        tx.execute(sa.delete(tasks).where(tasks.c.id == task_id))

    house.engine.write(prune)
    panel(page).to_contain_text("This task is not there any more", timeout=SOON)
    expect(page.get_by_role("button", name="Continue in the background")).to_be_hidden()
    answer = house.get(wait)
    assert answer.status_code == 404
    assert "There is no task" in answer.text
