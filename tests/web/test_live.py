"""A page in a real browser stays true whatever happens to its stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from earmark.web import fragments

from . import samples
from .preview import Preview

pytestmark = pytest.mark.browser

RUNNING = samples.RUNNING
DONE = replace(RUNNING, state="done", outcome="ok", progress=100)
FAILED = replace(RUNNING, state="done", outcome="failed", progress=60)


@pytest.fixture
def row(page: Page, preview: Preview) -> Locator:
    """The list of tasks, open and listening; the row of a task that runs."""
    preview.show(fragments.task_row(RUNNING))
    page.goto(f"{preview.url}/pages/tasks")
    expect_live(page)
    row = page.locator(f"#task-{RUNNING.id}")
    expect(row).to_contain_text("Running")
    return row


def expect_live(page: Page, yes: str = "yes") -> None:
    expect(page.locator("html")).to_have_attribute("data-live", yes, timeout=20_000)


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        """value => {
          Object.defineProperty(document, "hidden", {value, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_only_the_row_of_that_id_changes(preview: Preview, row: Locator) -> None:
    preview.show(fragments.task_row(DONE))
    expect(row).to_contain_text("Done")
    expect(row.page.locator("tbody tr")).to_have_count(len(samples.TASKS))


def test_what_needs_a_person_is_counted_while_one_looks(
    preview: Preview, row: Locator
) -> None:
    link = row.page.locator("#nav-needs")
    expect(link).to_be_hidden()
    preview.show(fragments.nav_needs(2))
    expect(link).to_contain_text("2 need you")
    preview.show(fragments.nav_needs(0))
    expect(link).to_be_hidden()


def test_a_change_leaves_the_focus_where_it_is(preview: Preview, row: Locator) -> None:
    row.locator("a").first.focus()
    preview.show(fragments.task_row(DONE))
    expect(row).to_contain_text("Done")
    expect(row.locator("a").first).to_be_focused()


def test_a_row_that_is_not_on_the_page_is_ignored(
    preview: Preview, row: Locator
) -> None:
    stranger = replace(RUNNING, id="stranger")
    preview.show(fragments.task_row(stranger), fragments.task_row(DONE))
    expect(row).to_contain_text("Done")
    expect(row.page.locator("#task-stranger")).to_have_count(0)


def test_a_restarted_server_and_its_502s_are_outlived(
    preview: Preview, row: Locator
) -> None:
    preview.stop()
    expect_live(row.page, "no")
    expect(row.page.get_by_text("Connection lost")).to_be_visible()
    preview.answers = [502, 502, 502, 502]
    preview.show(fragments.task_row(FAILED))
    preview.start()
    expect(row).to_contain_text("Failed", timeout=30_000)
    expect_live(row.page)
    expect(row.page.get_by_text("Connection lost")).to_be_hidden()
    assert preview.answers == []
    assert "Not now" not in row.page.content()


def test_a_failure_of_the_very_first_request_is_outlived(
    page: Page, preview: Preview
) -> None:
    preview.answers = [502, 503, 502]
    preview.show(fragments.task_row(DONE))
    page.goto(f"{preview.url}/pages/tasks")
    expect(page.locator(f"#task-{DONE.id}")).to_contain_text("Done", timeout=20_000)
    assert "Not now" not in page.content()


def test_a_stream_that_fell_silent_is_opened_again(
    page: Page, preview: Preview
) -> None:
    page.clock.install()
    page.goto(f"{preview.url}/pages/tasks")
    expect_live(page)
    with page.expect_response("**/events*"):
        page.clock.fast_forward(45_000)
    expect_live(page)


def test_a_hidden_tab_listens_to_nothing_until_it_is_seen(
    preview: Preview, row: Locator
) -> None:
    hide(row.page, True)
    preview.show(fragments.task_row(DONE))
    expect(row).to_contain_text("Running")
    with row.page.expect_request("**/events*"):
        hide(row.page, False)
    expect(row).to_contain_text("Done")


def test_who_is_logged_out_is_sent_to_the_page_again(
    page: Page, preview: Preview
) -> None:
    preview.answers = [401]
    page.goto(f"{preview.url}/pages/tasks")
    expect_live(page)
    assert preview.asked == ["tasks", "401", "tasks", "200"]


def test_who_stays_logged_out_is_told_and_not_sent_in_circles(
    page: Page, preview: Preview
) -> None:
    preview.answers = [401, 403, 401, 403]
    page.goto(f"{preview.url}/pages/tasks")
    expect(page.get_by_text("You are logged out")).to_be_visible()
    expect_live(page)
    expect(page.get_by_text("You are logged out")).to_be_hidden()
    assert preview.asked == ["tasks", "401", "tasks", "403", "401", "403", "200"]


def test_a_login_instead_of_the_stream_is_no_stream(
    page: Page, preview: Preview
) -> None:
    preview.answers = [200] * 3
    page.goto(f"{preview.url}/pages/tasks")
    expect(page.get_by_text("Connection lost")).to_be_visible()
    expect_live(page)
    preview.answers = [200] * 3
    preview.cut()
    expect(page.get_by_text("Connection lost")).to_be_visible()
    assert "Not now" not in page.content()
    expect_live(page)


def test_the_end_of_a_wait_moves_the_browser_on(page: Page, preview: Preview) -> None:
    preview.show(fragments.wait_panel(RUNNING, "/pages/vm"))
    page.goto(f"{preview.url}/pages/wait")
    expect_live(page)
    preview.show(fragments.wait_panel(DONE, "/pages/vm"))
    page.wait_for_url("**/pages/vm")


def test_a_wait_without_javascript_asks_again(
    browser: Browser, preview: Preview
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{preview.url}/pages/wait")
    with page.expect_request("**/pages/wait?hold=1"):
        pass
    context.close()
    assert preview.asked[:2] == ["wait", "wait"]


def test_what_a_person_types_survives_a_change(page: Page, preview: Preview) -> None:
    held = samples.HELD
    page.goto(f"{preview.url}/pages/task-held")
    expect_live(page)
    page.get_by_label("Its id at the provider").fill("vm-7")
    sure = replace(samples.PLACEHOLDER, external_id="vm-6")
    preview.show(fragments.task_placeholders(held, (sure,)))
    expect(page.get_by_text("known there as")).to_be_visible()
    expect(page.get_by_label("Its id at the provider")).to_have_value("vm-7")


def test_every_page_obeys_the_content_security_policy(
    page: Page, preview: Preview
) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for name in samples.PAGES:
        page.goto(f"{preview.url}/pages/{name}")
        if samples.PAGES[name].live:
            expect_live(page)
        assert complaints == [], name
