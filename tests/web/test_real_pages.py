"""Real pages in a real browser, on the house as it runs."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.peers.lab import PASSWORD

from .flows import SLOW, expect_live
from .house import House

pytestmark = pytest.mark.browser


def fill_provider(page: Page, house: House, name: str, password: str) -> None:
    page.goto(f"{house.url}/providers/new?kind=lab")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("URL").fill(house.lab.url)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Verify and add").click()


def test_a_power_off_is_seen_without_a_reload(page: Page, house: House) -> None:
    house.lab.options = {**house.lab.options, "power_seconds": 4}
    house.lab.restart()
    page.goto(f"{house.url}/vms/{house.vm('web01')['id']}")
    expect_live(page)
    panel = page.locator("section[id^=vm-panel]")
    expect(panel).to_contain_text("On")
    page.get_by_role("button", name="Power off").click()
    expect(page.get_by_text("“Power off web01”")).to_be_visible()
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(panel.locator(".badge")).to_have_text("Stopping", timeout=SLOW)
    expect(panel.locator(".badge")).to_have_text("Off", timeout=SLOW)
    # What the inventory says refuses nothing (rule 18): it only steps back.
    expect(page.get_by_role("button", name="Power off")).to_be_enabled()
    expect(page.get_by_role("button", name="Power off")).to_have_class("quiet")
    expect(page.locator("[id^=vm-tasks]")).to_contain_text("Done")
    assert loads == []


def test_the_list_follows_too(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms")
    expect_live(page)
    row = page.locator(f"#vm-{house.vm('app01')['id']}")
    expect(row).to_contain_text("On")
    house.post(f"/vms/{house.vm('app01')['id']}/actions/stop")
    expect(row).to_contain_text("Off", timeout=SLOW)


def test_a_template_is_followed_disk_by_disk(page: Page, house: House) -> None:
    page.goto(f"{house.url}/vms/{house.vm('db01')['id']}")
    page.get_by_role("link", name="Create template").click()
    page.locator("dialog").get_by_label("Template name").fill("seen")
    page.locator("dialog").get_by_role("button", name="Create template").click()
    page.wait_for_url(re.compile(r"/tasks/[0-9a-f-]+$"))
    tree = page.locator("section[id^=task-tree]")
    expect(tree).to_be_visible(timeout=SLOW)
    expect(tree).to_contain_text("Copy disk")
    expect(page.locator("section[id^=task-panel] .badge")).to_have_text(
        "Done", timeout=SLOW
    )
    expect(tree).to_contain_text("4 of 4 ended")
    expect(page.locator("section[id^=task-log]")).to_contain_text("Ended ok.")
    page.goto(f"{house.url}/templates")
    expect(page.get_by_text("seen", exact=True)).to_be_visible()


def test_a_wrong_password_comes_back_to_the_form(page: Page, house: House) -> None:
    fill_provider(page, house, "again", "wrong")
    expect(page.get_by_text("The provider refused the credentials")).to_be_visible(
        timeout=SLOW
    )
    expect(page.get_by_label("Name", exact=True)).to_have_value("again")
    expect(page.get_by_label("URL")).to_have_value(house.lab.url)
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Verify and add").click()
    expect(page.get_by_text("“again” was verified and added.")).to_be_visible(
        timeout=SLOW
    )


def queued_task(page: Page, house: House, name: str) -> str:
    """Ask for something that no worker takes; returns its page."""
    fill_provider(page, house, name, PASSWORD)
    page.wait_for_url("**/wait?**")
    return page.url.partition("/wait")[0]


def test_a_wait_goes_on_in_the_background(page: Page, quiet_house: House) -> None:
    house = quiet_house
    fill_provider(page, house, "patient", PASSWORD)
    expect_live(page)
    button = page.get_by_role("button", name="Continue in the background")
    expect(button).to_be_visible(timeout=SLOW)
    button.click()
    page.wait_for_url("**/providers?background=*")
    expect(page.get_by_text("goes on in the background")).to_be_visible()
    expect_live(page)
    news = page.locator("#nav-news")
    expect(news.locator(".count")).to_have_count(0)
    house.worker.start()
    expect(news.locator(".count")).to_contain_text("1", timeout=SLOW)
    news.click()
    page.get_by_role("link", name="Verify").click()
    page.wait_for_url("**/providers/*added=1", timeout=SLOW)
    expect(page.get_by_text("“patient” was verified and added.")).to_be_visible()


def test_the_background_needs_no_javascript(browser: Browser, house: House) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    vm = house.vm("web02")
    page.goto(f"{house.url}/vms/{vm['id']}")
    page.get_by_role("button", name="Power off").click()
    task = house.json("/tasks")[0]
    house.ended(task["id"])
    page.goto(f"{house.url}/notifications")
    row = page.locator("#notifications tr", has_text="Power off web02")
    expect(row).to_contain_text("Done")
    row.get_by_role("button", name="Mark").click()
    expect(row).to_have_count(0)
    context.close()


def test_the_newest_tasks_are_at_the_foot_of_every_page(
    page: Page, house: House
) -> None:
    vm = house.vm("app01")
    panel = page.locator("#recent")
    for path in ("/templates", "/providers/new", "/nowhere"):
        page.goto(house.url + path)
        panel.locator("summary").click()
        expect(panel.locator("tbody tr").first).to_be_visible()
        panel.locator("summary").click()
    page.goto(f"{house.url}/templates")
    expect_live(page)
    panel.locator("summary").click()
    house.post(f"/vms/{vm['id']}/actions/start", idempotency_key="at the foot")
    # The first, until the scheduler queues another.
    newest = panel.locator("tbody tr").filter(has_text="Power on app01").first
    expect(newest).to_contain_text("Done", timeout=SLOW)
    expect(newest.get_by_role("link", name="app01", exact=True)).to_be_visible()
    page.goto(f"{house.url}/workers")
    expect(newest).to_be_visible()
    panel.locator("summary").click()
    page.goto(f"{house.url}/vms")
    expect(newest).to_be_hidden()


def test_the_panel_needs_no_javascript(browser: Browser, house: House) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{house.url}/workers")
    newest = page.locator("#recent tbody tr").first
    expect(newest).to_be_hidden()
    page.locator("#recent summary").click()
    expect(newest).to_be_visible()
    context.close()


def test_a_cancel_says_first_what_it_means(page: Page, quiet_house: House) -> None:
    page.goto(queued_task(page, quiet_house, "unwanted"))
    expect_live(page)
    dialog = page.locator("dialog#ask-cancel")
    for answer in ("Not now", "Cancel the task"):
        expect(dialog).to_be_hidden()
        page.get_by_role("link", name="Cancel").click()
        expect(dialog).to_contain_text("Nothing has been sent")
        dialog.get_by_text(answer, exact=True).click()
    expect(page.locator("section[id^=task-panel] .badge")).to_have_text("Cancelled")
    expect(page.get_by_role("link", name="Cancel")).to_have_count(0)


def test_a_dialog_says_what_is_true_when_it_opens(
    page: Page, quiet_house: House
) -> None:
    address = queued_task(page, quiet_house, "late")
    page.route("**/events*", lambda route: route.abort())
    page.goto(address)
    dialog = page.locator("dialog#ask-cancel")
    quiet_house.web.stop(signal.SIGKILL)
    page.get_by_role("link", name="Cancel").click()
    expect(dialog).to_contain_text("Nothing has been sent")
    dialog.get_by_text("Not now").click()
    quiet_house.web.start()
    quiet_house.post(address.removeprefix(quiet_house.url) + "/cancel")
    page.get_by_role("link", name="Cancel").click()
    expect(dialog).to_contain_text("It has ended already")


def test_a_cancel_needs_no_javascript(browser: Browser, quiet_house: House) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(queued_task(page, quiet_house, "plain"))
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_text("Nothing has been sent")).to_be_visible()
    page.get_by_role("button", name="Cancel the task").click()
    expect(page.locator("section[id^=task-panel] .badge")).to_have_text("Cancelled")
    context.close()


def test_no_page_complains(page: Page, house: House) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    vm = house.vm("web02")
    task = house.json("/tasks")[0]["id"]
    for path in ("/vms", f"/vms/{vm['id']}", "/tasks", f"/tasks/{task}"):
        page.goto(house.url + path)
        expect_live(page)
    page.goto(f"{house.url}/tasks/{task}/log?q=queued")
    for path in ("/providers", "/templates", "/tenants", "/workers"):
        page.goto(house.url + path)
        expect_live(page)
    assert complaints == []


def test_ages_stay_true_when_the_computers_clock_is_set(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/tasks")
    expect_live(page)
    age = page.locator("main tbody time").first
    expect(age).to_have_text(re.compile(r"just now|\d+ (s|min) ago"))
    for hours in (3, -3):
        page.evaluate(
            """hours => {
              const before = Date.now;
              Date.now = () => before() + hours * 3600_000;
            }""",
            hours,
        )
        page.wait_for_function(
            "seen => document.querySelector('main tbody time').textContent !== seen",
            arg=age.text_content(),
            timeout=SLOW,
        )
        expect(age).to_have_text(re.compile(r"just now|\d+ (s|min) ago"))


def test_empty_pages_fill_when_a_first_provider_comes(
    page: Page, quiet_house: House
) -> None:
    """Another person adds it; what can be pressed is there as after a reload."""
    house = quiet_house
    vms = page.context.new_page()
    page.goto(f"{house.url}/providers")
    vms.goto(f"{house.url}/vms")
    for tab in (page, vms):
        expect(tab.locator("html")).to_have_attribute("data-live", "yes", timeout=SLOW)
    expect(page.get_by_text("No providers yet")).to_be_visible()
    expect(vms.get_by_role("button", name="Power off selected")).to_be_hidden()
    house.worker.start()
    provider = house.add_lab()
    expect(page.locator("#providers td.title")).to_have_text(
        provider.name, timeout=SLOW
    )
    vms.get_by_label("Select web01").check(timeout=SLOW)
    vms.get_by_role("button", name="Power off selected").click()
    expect(vms.locator(".notice")).to_contain_text("web01")
    page.get_by_role("button", name="Refresh").click()
    page.wait_for_url("**/providers/*")
