"""A real browser, and the preview of the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.web.application import create_app
from tests.peers.web_proxy import WebProxy

from .deciding import Desk
from .flows import FLOWS, Flow
from .house import House
from .preview import Preview

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, for these tests alone: while it is there, Playwright keeps an event
    loop running in this thread, and no other test could run one."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("EARMARK_REQUIRE_PEERS") == "1":
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=chromium, headless=True, args=QUIET
        )
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def preview() -> Iterator[Preview]:
    with Preview.anywhere() as made:
        yield made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that works, with the lab as its provider."""
    with House(tmp_path_factory.mktemp("house")) as made:
        made.worker.start()
        made.add_lab()
        yield made


@pytest.fixture
def quiet_house(tmp_path: Path) -> Iterator[House]:
    """A house of one's own, without a worker and without a provider."""
    with House(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def idle_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that knows its lab, and whose worker is not there."""
    with House(tmp_path_factory.mktemp("idle")) as made:
        made.worker.start()
        made.add_lab()
        made.worker.stop()
        yield made


@pytest.fixture(scope="module")
def proxy(idle_house: House) -> Iterator[WebProxy]:
    with WebProxy(idle_house.url) as made:
        yield made


@pytest.fixture(params=FLOWS)
def flow(request: pytest.FixtureRequest, idle_house: House) -> Iterator[Flow]:
    """One thing that people wait for; its house has no worker until it starts one."""
    yield FLOWS[request.param](idle_house)
    idle_house.lab.clear_faults()
    idle_house.worker.stop()


@pytest.fixture
def desk(engine: Engine, settings: Settings) -> Iterator[Desk]:
    """The web in the test's own process, over a scripted provider, on both stores."""
    app = create_app(engine, settings)
    yield Desk(engine, app)
    app.state.site.watcher.close()
