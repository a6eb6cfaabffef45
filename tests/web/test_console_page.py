"""A console in a real browser: noVNC draws what the lab's RFB server sends."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Page, expect

from earmark.lab.consoles.font import rows

from .flows import SLOW, expect_state
from .house import House

pytestmark = pytest.mark.browser

#: Counts the light dots of each line of the screen, as noVNC has drawn it.
DOTS = """() => {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas || !canvas.width) return [];
  const drawn = canvas.getContext("2d");
  const { data } = drawn.getImageData(0, 0, canvas.width, canvas.height);
  const dots = [];
  for (let i = 0; i < data.length; i += 4) {
    const line = Math.floor(i / 4 / canvas.width / 18);
    dots[line] = (dots[line] ?? 0) + (data[i] > 128 ? 1 : 0);
  }
  return dots;
}"""


def dots_of(text: str) -> int:
    """How many light pixels the lab's font has for a text."""
    return 9 * sum(row.bit_count() for it in text for row in rows(it))


def expect_line(page: Page, line: int, text: str) -> None:
    """Wait until a line of the drawn picture has exactly the dots of this text."""
    page.wait_for_function(
        f"([line, dots]) => ({DOTS})()[line] === dots",
        arg=[line, dots_of(text)],
        timeout=SLOW,
    )


def open_console(page: Page, house: House, vm: str) -> Page:
    """Click the link on the VM's page; returns the new tab."""
    page.goto(f"{house.url}/vms/{house.vm(vm)['id']}")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Console").click()
    return opened.value


def test_a_click_opens_a_screen_that_shows_what_is_typed(
    page: Page, house: House
) -> None:
    complaints: list[str] = []
    addresses: list[str] = []
    page.context.on("console", lambda said: complaints.append(said.text))
    page.context.on("request", lambda request: addresses.append(request.url))
    tab = open_console(page, house, "web01")
    tab.on("websocket", lambda socket: addresses.append(socket.url))
    tickets: list[str] = []
    expect_state(tab, "connected")
    expect(tab.get_by_text("SIMULATED CONSOLE of web01")).to_be_visible()
    expect_line(tab, 0, "SIMULATED CONSOLE of web01")
    tab.keyboard.type("Whoami 42!")
    expect_line(tab, 3, "Whoami 42!_")
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Send Ctrl-Alt-Del").click()
    expect_line(tab, 4, "<CTRL-ALT-DEL>_")
    with tab.expect_response("**/console/tickets") as asked:
        tab.reload()
    tickets.append(asked.value.json()["ticket"])
    expect_state(tab, "connected")
    expect_line(tab, 3, "Whoami 42!")
    assert not [it for it in addresses for ticket in tickets if ticket in it]
    # Reading the picture back is this test's own doing.
    assert [it for it in complaints if not it.startswith("Canvas2D")] == []


def test_it_says_why_it_cannot_open(page: Page, house: House) -> None:
    tab = open_console(page, house, "db01")
    expect_state(tab, "ended")
    said = tab.locator("#console-said")
    expect(said).to_contain_text("the virtual machine is off")
    expect(said).to_contain_text("power it on")
    expect(tab.get_by_role("button", name="Reconnect")).to_be_visible()
    expect(tab.get_by_role("button", name="Send Ctrl-Alt-Del")).to_be_disabled()


def test_a_power_off_is_said_and_a_start_opens_it_again(
    page: Page, house: House
) -> None:
    tab = open_console(page, house, "web02")
    expect_state(tab, "connected")
    vm = house.vm("web02")["id"]
    stop = house.client.post(f"/api/v1/vms/{vm}/actions/stop").json()
    expect_state(tab, "ended")
    expect(tab.locator("#console-said")).to_contain_text("web02")
    house.ended(stop["id"])
    tab.get_by_role("button", name="Reconnect").click()
    expect(tab.locator("#console-said")).to_contain_text("is off")
    start = house.client.post(f"/api/v1/vms/{vm}/actions/start").json()
    house.ended(start["id"])
    tab.get_by_role("button", name="Reconnect").click()
    expect_state(tab, "connected")
    expect_line(tab, 0, "SIMULATED CONSOLE of web02")


def test_it_opens_again_after_its_worker_has_died(
    page: Page, quiet_house: House
) -> None:
    house = quiet_house
    house.worker.start()
    house.add_lab()
    tab = open_console(page, house, "web01")
    expect_state(tab, "connected")
    tab.keyboard.type("before")
    expect_line(tab, 3, "before_")
    house.worker.stop(signal.SIGKILL)
    expect(tab.locator("#console-said")).to_contain_text(
        re.compile("No live worker|did not open"), timeout=SLOW
    )
    expect_state(tab, "ended")
    house.worker.start()
    tab.get_by_role("button", name="Reconnect").click()
    expect_state(tab, "connected")
    expect_line(tab, 3, "before_")


def test_who_reloads_after_the_server_died_is_not_asked(
    page: Page, quiet_house: House
) -> None:
    house = quiet_house
    house.worker.start()
    house.add_lab()
    tab = open_console(page, house, "web01")
    expect_state(tab, "connected")
    house.web.stop(signal.SIGKILL)
    house.web.start()
    tab.reload()
    expect_state(tab, "connected")
    expect(tab.get_by_role("dialog")).to_be_hidden()
