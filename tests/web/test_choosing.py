"""Rows are chosen and acted on, by keyboard alone, in a real Chromium."""

from __future__ import annotations

import re
from functools import partial

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from earmark.commands import RefreshProvider
from earmark.domain.inventory import Provider
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.store import inventory, tasks
from earmark.store.schema import vms

from .flows import expect_live
from .house import House, task_in

pytestmark = pytest.mark.browser
TABS = 40


def queued(house: House, *names: str) -> list[Task]:
    """Tasks that wait, since nobody works."""
    found = []
    for name in names:
        provider = Provider(name, name, "lab", "default", {"url": "http://127.0.0.1:9"})
        house.engine.write(partial(inventory.add_provider, new=provider))
        refresh = RefreshProvider(provider=name)
        found.append(transact(house.engine, refresh.enqueue))
    return found


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called so."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if name in page.evaluate(
            "document.activeElement.ariaLabel || document.activeElement.innerText"
        ):
            return
    raise AssertionError(f"nothing called {name!r} is reached by Tab")


def test_many_are_cancelled_by_keyboard_alone(page: Page, quiet_house: House) -> None:
    one, two, three = queued(quiet_house, "one", "two", "three")
    page.goto(f"{quiet_house.url}/tasks?state=queued")
    expect_live(page)
    told = page.locator("#how-many")
    expect(told).to_have_text("0 selected")
    tab_to(page, "Select all on this page")
    page.keyboard.press("Space")
    expect(told).to_have_text("3 selected")
    tab_to(page, f"Select {two.title}")
    page.keyboard.press("Space")
    expect(told).to_have_text("2 selected")
    # A row that changes while it is chosen keeps its tick, and its neighbour has none.
    for task in (one, two):
        change = partial(tasks.change, task=task, message="x", progress=7)
        quiet_house.engine.write(change)
    expect(page.locator(f"#task-{one.id} progress")).to_have_attribute("value", "7")
    expect(page.locator(f"#task-{two.id} progress")).to_have_attribute("value", "7")
    expect(page.locator(f"#choose-{one.id}")).to_be_checked()
    expect(page.locator(f"#choose-{two.id}")).not_to_be_checked()
    expect(told).to_have_text("2 selected")
    page.locator("#main").focus()
    tab_to(page, "Cancel selected")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Cancel 2 tasks?")
    expect(page.locator(".fates")).to_contain_text("Nothing has been sent")
    tab_to(page, "Cancel 2 tasks")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("2 tasks asked to stop.")
    assert re.search(r"/tasks\?state=queued&deed=", page.url)
    found = quiet_house.engine.read(
        lambda tx: tasks.by_ids(tx, [one.id, two.id, three.id])
    )
    ended = {it.id: it.outcome for it in found.values()}
    assert ended == {one.id: "cancelled", two.id: None, three.id: "cancelled"}


def test_a_row_that_no_longer_fits_the_filter_is_shown_as_it_is(
    page: Page, quiet_house: House
) -> None:
    (one,) = queued(quiet_house, "one")
    page.goto(f"{quiet_house.url}/tasks?state=queued")
    expect_live(page)
    quiet_house.client.post(f"/api/v1/tasks/{one.id}/cancel")
    expect(page.locator(f"#task-{one.id}")).to_contain_text("Cancelled")


def test_many_vms_are_shut_down_without_a_wait(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms")
    expect_live(page)
    for name in ("web01", "app01"):
        page.get_by_label(f"Select {name}", exact=True).check()
    expect(page.locator("#how-many")).to_have_text("2 selected")
    page.get_by_role("button", name="Power off selected").click()
    notice = page.locator("#notices")
    expect(notice).to_contain_text("“Power of")
    expect(notice.get_by_role("link", name="Follow it")).to_be_visible()
    task = house.ended(task_in(page.url))
    assert (task["command"], task["outcome"]) == ("PowerMany", "ok")
    assert {house.vm(name)["power_state"] for name in ("web01", "app01")} == {"off"}


def test_a_vm_that_is_gone_stops_nothing_else_from_being_chosen(
    browser: Browser, house: House
) -> None:
    """And without JavaScript."""
    gone, there = house.vm("build01"), house.vm("db01")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{house.url}/vms")
    for vm in (gone, there):
        page.get_by_label(f"Select {vm['name']}", exact=True).check()

    def mark(tx: object, at: object) -> None:
        tx.execute(  # type: ignore[attr-defined]
            sa.update(vms).where(vms.c.id == gone["id"]).values(gone_at=at)
        )

    house.engine.write(lambda tx: mark(tx, tx.now))
    try:
        page.get_by_role("button", name="Restart selected").click()
        notice = page.get_by_role("alert")
        expect(notice).to_contain_text("build01 is gone since you looked")
        expect(notice).to_contain_text("The other 1 are still chosen")
        expect(page.get_by_label("Select db01", exact=True)).to_be_checked()
        page.get_by_role("button", name="Restart selected").click()
        expect(page.locator("#notices")).to_contain_text("“Restart db01”")
        task = house.ended(task_in(page.url))
        assert (task["command"], task["outcome"]) == ("RestartVm", "ok")
    finally:
        house.engine.write(lambda tx: mark(tx, None))
        context.close()


def test_compact_rows_are_remembered(page: Page, quiet_house: House) -> None:
    queued(quiet_house, "one")
    page.goto(f"{quiet_house.url}/tasks")
    row = page.locator("tbody tr").first
    roomy = row.bounding_box()
    toggle = page.get_by_role("button", name="Compact rows")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.press("Enter")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    compact = row.bounding_box()
    assert roomy is not None
    assert compact is not None
    assert compact["height"] < roomy["height"]


def test_what_came_ticked_stays_ticked_when_its_row_is_patched(
    page: Page, quiet_house: House
) -> None:
    one, two = queued(quiet_house, "one", "two")
    page.goto(f"{quiet_house.url}/tasks?select=all")
    expect_live(page)
    change = partial(tasks.change, task=one, message="x", progress=7)
    quiet_house.engine.write(change)
    expect(page.locator(f"#task-{one.id} progress")).to_have_attribute("value", "7")
    for task in (one, two):
        expect(page.locator(f"#choose-{task.id}")).to_be_checked()
    expect(page.locator("#how-many")).to_have_text("2 selected")


def test_a_narrow_window_says_which_vm_of_two_that_are_named_alike(
    page: Page, idle_house: House
) -> None:
    page.set_viewport_size({"width": 375, "height": 720})
    page.goto(f"{idle_house.url}/vms")
    row = page.locator("#vms tbody tr").first
    expect(row.locator("td.title").get_by_text("lab", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(row.locator("td.title").get_by_text("lab", exact=True)).to_be_hidden()
