"""The main flows with JavaScript off; waits, cancel and tenants are proven beside the
same with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .house import House, task_in
from .test_choosing import queued

pytestmark = pytest.mark.browser


@pytest.fixture
def plain(browser: Browser) -> Iterator[Page]:
    """A page in a browser that runs no script."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_a_vm_is_powered_off_and_its_task_followed(plain: Page, house: House) -> None:
    plain.goto(f"{house.url}/vms/{house.vm('web01')['id']}")
    plain.get_by_role("button", name="Power off").click()
    expect(plain.locator("#notices")).to_contain_text("“Power off web01”")
    task = task_in(plain.url.partition("task=")[2])
    house.ended(task)
    plain.reload()
    badge = plain.locator("section[id^=vm-panel] .badge")
    expect(badge).to_have_text("Off")
    plain.locator("#notices").get_by_role("link", name="Follow it").click()
    expect(plain.locator("section[id^=task-panel] .badge")).to_have_text("Done")


def test_many_tasks_are_cancelled(plain: Page, quiet_house: House) -> None:
    one, two, three = queued(quiet_house, "one", "two", "three")
    plain.goto(f"{quiet_house.url}/tasks")
    for task in (one, three):
        plain.get_by_label(f"Select {task.title}", exact=True).check()
    plain.get_by_role("button", name="Cancel selected").click()
    expect(plain.locator("h1")).to_have_text("Cancel 2 tasks?")
    plain.get_by_role("button", name="Cancel 2 tasks").click()
    expect(plain.locator("#notices")).to_contain_text("2 tasks asked to stop.")
    for task, word in ((one, "Cancelled"), (two, "Queued"), (three, "Cancelled")):
        expect(plain.locator(f"#task-{task.id} .badge")).to_have_text(word)


def test_tasks_are_found_by_their_filters(plain: Page, quiet_house: House) -> None:
    one, two = queued(quiet_house, "one", "two")
    plain.goto(f"{quiet_house.url}/tasks")
    plain.get_by_text("Object, user, zone, time").click()
    plain.get_by_label("Object", exact=True).fill("provider:two")
    plain.get_by_label("State").select_option("queued")
    plain.get_by_role("button", name="Filter").click()
    expect(plain.locator(f"#task-{two.id}")).to_be_visible()
    expect(plain.locator(f"#task-{one.id}")).to_have_count(0)
    expect(plain.get_by_label("Object", exact=True)).to_have_value("provider:two")
    plain.get_by_role("link", name="Clear").click()
    expect(plain.locator(f"#task-{one.id}")).to_be_visible()


def test_a_failure_is_told_until_it_is_dismissed(plain: Page, house: House) -> None:
    form = {"provider": "lab", "name": "¿no?", "description": ""}
    answer = house.client.post("/tenants", data=form)
    task = task_in(answer.headers["location"])
    house.post(f"/tasks/{task}/background", next="tenant-created")
    house.ended(task)
    plain.goto(f"{house.url}/notifications")
    row = plain.locator("#notifications tr", has_text="¿no?")
    expect(row).to_contain_text("Failed")
    row.get_by_role("link").click()
    plain.goto(f"{house.url}/notifications")
    expect(row).to_contain_text("Failed")
    row.get_by_role("button", name="Dismiss").click()
    expect(row).to_have_count(0)
