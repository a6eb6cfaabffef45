"""The main flows by keyboard alone: Tab and the keys that press, nothing is clicked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.peers.lab import PASSWORD

from .flows import SLOW, expect_live
from .house import House, task_in
from .test_choosing import queued

pytestmark = pytest.mark.browser
TABS = 60

#: What the focus is on, by the name that a screen reader says.
FOCUSED = """() => {
  const it = document.activeElement;
  const name = it.ariaLabel || it.labels?.[0]?.innerText || it.innerText || "";
  return name.replace(/\\s+/g, " ").trim();
}"""
#: Whether somebody sees where the focus is.
SEEN = """() => {
  const it = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  const box = it.getBoundingClientRect();
  return outlineStyle === "solid" && parseFloat(outlineWidth) >= 2 && box.width > 1;
}"""


def reach(page: Page, name: str, back: bool = False) -> None:
    """Press Tab until the focus is on what is called so, and can be seen there."""
    for _ in range(TABS):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate(FOCUSED) == name:
            assert page.evaluate(SEEN), f"the focus on {name!r} is not seen"
            return
    raise AssertionError(f"nothing called {name!r} is reached by Tab")


def press(page: Page, name: str, key: str = "Enter", back: bool = False) -> None:
    reach(page, name, back)
    page.keyboard.press(key)


def write(page: Page, name: str, text: str) -> None:
    reach(page, name)
    page.keyboard.type(text)


def test_a_vm_is_powered_off(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms/{house.vm('web01')['id']}")
    expect_live(page)
    press(page, "Power off")
    expect(page.get_by_text("“Power off web01”")).to_be_visible()
    badge = page.locator("section[id^=vm-panel] .badge")
    expect(badge).to_have_text("Off", timeout=SLOW)


def test_the_focus_is_seen_wherever_it_is(page: Page, house: House) -> None:
    for path in ("/vms", f"/vms/{house.vm('web01')['id']}", "/tasks", "/tenants/new"):
        page.goto(house.url + path)
        expect_live(page)
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) == "Skip to content"
        seen = 0
        while page.evaluate("document.activeElement !== document.body"):
            name = page.evaluate(FOCUSED)
            assert page.evaluate(SEEN), f"{path}: the focus on {name!r} is not seen"
            page.keyboard.press("Tab")
            seen += 1
            assert seen < 200
        assert seen > 10


def test_the_content_is_one_key_away(page: Page, house: House) -> None:
    page.goto(f"{house.url}/tenants")
    press(page, "Skip to content")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "Create a tenant"


def test_a_task_is_cancelled_in_its_dialog(page: Page, quiet_house: House) -> None:
    (task,) = queued(quiet_house, "one")
    page.goto(f"{quiet_house.url}/tasks/{task.id}")
    expect_live(page)
    dialog = page.locator("dialog#ask-cancel")
    press(page, "Cancel")
    expect(dialog).to_contain_text("Nothing has been sent")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate(FOCUSED) == "Cancel"
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    press(page, "Not now")
    expect(dialog).to_be_hidden()
    assert page.evaluate(FOCUSED) == "Cancel"
    page.keyboard.press("Enter")
    press(page, "Cancel the task", back=True)
    expect(page.locator("section[id^=task-panel] .badge")).to_have_text("Cancelled")


def test_credentials_are_verified(page: Page, house: House) -> None:
    page.goto(f"{house.url}/providers")
    press(page, "Add a provider")
    page.wait_for_url("**/providers/new")
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.search") == "?kind=lab":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/providers/new?kind=lab")
    write(page, "Name", "by-hand")
    reach(page, "URL")
    page.keyboard.press("Control+A")
    page.keyboard.type(house.lab.url)
    write(page, "Password", PASSWORD)
    press(page, "Verify and add")
    expect(page.get_by_text("“by-hand” was verified and added.")).to_be_visible(
        timeout=SLOW
    )


def test_a_tenant_is_created(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms")
    press(page, "Tenants")
    page.wait_for_url("**/tenants")
    press(page, "Create a tenant")
    page.wait_for_url("**/tenants/new")
    write(page, "Name", "hands")
    write(page, "Description (optional)", "Without a mouse")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Tenant “hands” was created.")).to_be_visible(timeout=SLOW)


def test_several_vms_are_chosen_and_powered_off(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms")
    expect_live(page)
    deed = page.get_by_role("button", name="Power off selected")
    expect(deed).to_be_disabled()
    for name in ("app01", "web02"):
        press(page, f"Select {name}", "Space")
    expect(page.locator("#how-many")).to_have_text("2 selected")
    expect(deed).to_be_enabled()
    press(page, "Power off selected", back=True)
    expect(page.locator("#notices")).to_contain_text("“Power of")
    task = house.ended(task_in(page.url))
    assert (task["command"], task["outcome"]) == ("PowerMany", "ok")


def test_notifications_are_opened_read_and_dismissed(page: Page, house: House) -> None:
    house.lab.fault("refuse", verb="vm.stop", times=1)
    for name in ("build01", "db01"):
        page.goto(f"{house.url}/vms/{house.vm(name)['id']}")
        press(page, "Restart")
        page.wait_for_url("**task=*")
        house.ended(task_in(page.url.partition("task=")[2]))
    page.goto(f"{house.url}/tenants")
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if str(page.evaluate(FOCUSED)).startswith("Notifications"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/notifications")
    rows = page.locator("#notifications tbody tr")
    before = rows.count()
    press(page, "Restart build01")
    page.wait_for_url("**/tasks/*")
    page.go_back()
    expect_live(page)
    press(page, "Dismiss “Restart build01”")
    expect(rows).to_have_count(before - 1)
    press(page, "Mark “Restart db01” as read")
    expect(rows).to_have_count(before - 2)


def test_the_newest_tasks_are_unfolded(page: Page, house: House) -> None:
    page.goto(f"{house.url}/templates")
    press(page, "Recent tasks", "Space")
    first = page.locator("#recent tbody a").first
    expect(first).to_be_visible()
    page.keyboard.press("Tab")
    expect(first).to_be_focused()
