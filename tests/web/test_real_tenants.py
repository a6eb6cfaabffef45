"""A tenant is created in a real browser, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .flows import SLOW, expect_live
from .house import House

pytestmark = pytest.mark.browser


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def any_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        java_script_enabled=request.param == "with JavaScript"
    )
    yield context.new_page()
    context.close()


def fill(page: Page, name: str, description: str = "") -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Description").fill(description)
    page.get_by_role("button", name="Create the tenant").click()


def test_a_tenant_is_created_after_a_no(any_page: Page, house: House) -> None:
    page, name = any_page, f"blue-{len(house.json('/tenants'))}"
    page.goto(f"{house.url}/vms")
    page.get_by_role("link", name="Tenants", exact=True).click()
    page.get_by_role("link", name="Create a tenant").first.click()
    fill(page, f"¿{name}?", "Research")
    page.wait_for_url("**/tenants/new?again=*", timeout=SLOW)
    expect(page.get_by_role("alert")).to_contain_text("was not created: failed.")
    expect(page.get_by_role("alert")).to_contain_text("begins with a letter")
    expect(page.get_by_label("Name", exact=True)).to_have_value(f"¿{name}?")
    expect(page.get_by_label("Description")).to_have_value("Research")
    fill(page, name, "Research")
    page.wait_for_url("**/tenants?task=*", timeout=SLOW)
    said = f"Tenant “{name}” was created."
    expect(page.get_by_text(said)).to_be_visible()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Research")
    expect(row.get_by_role("link", name=f"Create tenant {name}")).to_be_visible()
    page.reload()
    expect(page.get_by_text(said)).to_be_visible()
    page.goto(f"{house.url}/tenants/new")
    fill(page, name)
    expect(page.get_by_text("is taken")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)


def test_the_list_follows_without_a_reload(page: Page, house: House) -> None:
    page.goto(f"{house.url}/tenants")
    expect_live(page)
    house.client.post(
        "/api/v1/commands/CreateTenant", json={"provider": "lab", "name": "elsewhere"}
    ).raise_for_status()
    row = page.get_by_role("row").filter(has_text="elsewhere")
    expect(row).to_be_visible(timeout=SLOW)
