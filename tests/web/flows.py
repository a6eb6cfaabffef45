"""The three things that people wait for on a page, as they do them in a browser."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from earmark.domain.console import ConsoleState
from earmark.store import schema
from tests.peers.lab import PASSWORD

from .house import House

SLOW = 30_000


def expect_live(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", "yes", timeout=SLOW)


def place(page: Page) -> str:
    """Where it is, whatever leads there."""
    parts = urlsplit(page.url)
    return f"{parts.path}?{parts.query}"


class Flow(ABC):
    """One of them, in a house whose worker is not there yet. Each is asked for under a
    name of its own, so that one house serves many."""

    meanwhile: str
    """What it says when it waits."""
    hung: str
    """What it says of a provider that does not answer."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.name = f"it-{uuid4().hex[:8]}"
        self.javascript = True

    @property
    @abstractmethod
    def came_from(self) -> str:
        """The path of the page before the wait."""

    @abstractmethod
    def ask(self, page: Page, base: str) -> None:
        """Ask for it as a person does."""

    @abstractmethod
    def begin(self, page: Page, base: str) -> None:
        """Ask for it, and let it come as far as it stays."""

    @abstractmethod
    def says(self, page: Page) -> Locator:
        """Where the page says how far it is."""

    @abstractmethod
    def hang(self) -> None:
        """Let the provider answer nothing that this needs."""

    @abstractmethod
    def expect_cut_off(self, page: Page) -> None:
        """The page says that its server does not answer."""

    @abstractmethod
    def expect_end(self, pages: Sequence[Page]) -> None:
        """Let it end; every page has come to the one end, and it was done once."""


class FormFlow(Flow):
    """A form, the wait for its task, and what the continuation leads to."""

    meanwhile = "no live worker"
    button: str
    end: re.Pattern[str]

    def ask(self, page: Page, base: str) -> None:
        page.goto(base + self.came_from)
        self.fill(page)
        page.get_by_role("button", name=self.button).click()
        page.wait_for_url("**/wait?**")
        self.wait = place(page)

    def begin(self, page: Page, base: str) -> None:
        self.ask(page, base)
        if self.javascript:
            expect_live(page)

    def says(self, page: Page) -> Locator:
        return page.locator("section[id^=wait-panel]")

    def expect_cut_off(self, page: Page) -> None:
        expect(page.get_by_text("Connection lost")).to_be_visible(timeout=SLOW)

    def expect_end(self, pages: Sequence[Page]) -> None:
        for page in pages:
            self.expect_waiting(page)
        self.house.worker.start()
        for page in pages:
            page.wait_for_url(self.end, timeout=SLOW)
            expect(page.get_by_text(self.success)).to_be_visible()
        first = place(pages[0])
        self.expect_once()
        for page in pages:
            page.goto(re.sub(r"(?<=\d)/.*", self.wait, page.url))
            assert place(page) == first, "asked twice, it leads to the same place"
            expect(page.get_by_text(self.success)).to_be_visible()
        self.expect_once()

    def expect_waiting(self, page: Page) -> None:
        if self.javascript:
            expect(self.says(page)).to_contain_text(self.meanwhile, timeout=SLOW)
        else:
            # It asks again all the time, and Playwright looks into no page that does.
            assert place(page).startswith(self.wait)

    @abstractmethod
    def fill(self, page: Page) -> None:
        """Fill in the form."""

    @property
    @abstractmethod
    def success(self) -> str:
        """What the last page says."""

    @abstractmethod
    def expect_once(self) -> None:
        """It was done, and done once."""


class AddProvider(FormFlow):
    """Credentials are verified, then the provider is made."""

    came_from = "/providers/new?kind=lab"
    hung = "an answer to the call under way"
    button = "Verify and add"
    end = re.compile(r"/providers/[\w-]+\?added=1$")

    def fill(self, page: Page) -> None:
        page.get_by_label("Name", exact=True).fill(self.name)
        page.get_by_label("URL").fill(self.house.lab.url)
        page.get_by_label("Password").fill(PASSWORD)

    def hang(self) -> None:
        self.house.lab.fault("hang", verb="read", times=50)

    @property
    def success(self) -> str:
        return f"“{self.name}” was verified and added."

    def expect_once(self) -> None:
        made = [it for it in self.house.json("/providers") if it["name"] == self.name]
        assert len(made) == 1
        asked = self.house.json("/tasks", params={"command": "RefreshProvider"})
        assert [it["object"]["id"] for it in asked].count(made[0]["id"]) == 1


class CreateTenant(FormFlow):
    """A tenant is made at the lab."""

    came_from = "/tenants/new"
    hung = "lab to answer"
    button = "Create the tenant"
    end = re.compile(r"/tenants\?task=[\w-]+$")

    def fill(self, page: Page) -> None:
        page.get_by_label("Provider").select_option("lab")
        page.get_by_label("Name", exact=True).fill(self.name)

    def hang(self) -> None:
        self.house.lab.fault("hang", verb="tenant.create", times=50)

    @property
    def success(self) -> str:
        return f"Tenant “{self.name}” was created."

    def expect_once(self) -> None:
        there = self.house.lab.call("GET", "/tenants").json()["tenants"]
        for tenants in (there, self.house.json("/tenants")):
            assert [it["name"] for it in tenants].count(self.name) == 1


class OpenConsole(Flow):
    """The page of a console is its wait. It needs a worker all the time."""

    meanwhile = "A worker asks the provider for the console."
    hung = "The provider did not answer in time."

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.vm = str(house.vm("web01")["id"])

    @property
    def came_from(self) -> str:
        return f"/vms/{self.vm}"

    def ask(self, page: Page, base: str) -> None:
        page.goto(base + self.came_from)
        # The link opens a tab of its own, which has nothing to go back to.
        page.goto(f"{base}{self.came_from}/console")

    def begin(self, page: Page, base: str) -> None:
        self.house.worker.start()
        self.ask(page, base)
        if self.javascript:
            expect_state(page, "connected")

    def says(self, page: Page) -> Locator:
        return page.locator("#console-said")

    def hang(self) -> None:
        self.house.lab.fault("hang", verb="read", times=50)

    def expect_cut_off(self, page: Page) -> None:
        expect(self.says(page)).to_contain_text("Connecting again", timeout=SLOW)

    def expect_end(self, pages: Sequence[Page]) -> None:
        first, last = pages[0], pages[-1]
        if not self.javascript:
            # Playwright's words and roles leave out what stands in a <noscript>.
            notice = last.locator("noscript .notice")
            expect(notice).to_be_visible()
            expect(notice).to_contain_text("A console needs JavaScript")
            assert self.in_use() == 0
            notice.locator("a").click()
            expect(last.get_by_role("heading", name="web01")).to_be_visible()
            return
        if first is not last:
            self.take_over(first, last)
        expect_state(last, "connected")
        expect(self.says(last)).to_contain_text("SIMULATED CONSOLE of web01")
        assert self.in_use() == 1

    def take_over(self, first: Page, second: Page) -> None:
        """Only a person ends what another page shows."""
        question = second.get_by_role("dialog")
        expect(question).to_contain_text("Take over the console", timeout=SLOW)
        expect_state(first, "connected")
        assert self.in_use() == 1
        second.get_by_role("button", name="Not now").click()
        expect_state(second, "ended")
        expect_state(first, "connected")
        second.get_by_role("button", name="Reconnect").click()
        second.get_by_role("button", name="Take over").click()
        expect_state(first, "ended")
        expect(self.says(first)).to_contain_text("took this console over")

    def in_use(self) -> int:
        """How many look at the screen, or are about to."""
        table = schema.consoles
        states = (ConsoleState.CLAIMED, ConsoleState.OPEN)
        of_vm = (table.c.vm_id == self.vm, table.c.state.in_(states))
        count = sa.select(sa.func.count()).where(*of_vm)
        return int(self.house.engine.read(lambda tx: tx.execute(count).scalar_one()))


FLOWS: Mapping[str, type[Flow]] = {
    "add a provider": AddProvider,
    "create a tenant": CreateTenant,
    "open a console": OpenConsole,
}


def expect_state(page: Page, state: str) -> None:
    """Wait until a console's page is in it."""
    expect(page.locator("#console")).to_have_attribute(
        "data-state", state, timeout=SLOW
    )
