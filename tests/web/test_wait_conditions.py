"""Whatever happens to a page that waits: the wait goes on, and leads on once.

Each of the three flows meets each of the conditions. A house without a worker keeps the
waits open until the condition is over; a console is open already, and comes back.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from playwright.sync_api import Browser, Page

from tests.peers.web_proxy import WebProxy

from .flows import Flow
from .house import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Both are real seconds, for the browser's own clocks and timers are what is tested.
OFFLINE_SECONDS = 10
FALLEN_OUT_SECONDS = 5


@dataclass
class Scene:
    """A page that waits, and all around it."""

    house: House
    browser: Browser
    proxy: WebProxy
    page: Page
    flow: Flow


Play = Callable[[Scene], Sequence[Page]]


@dataclass(frozen=True)
class Condition:
    """`play` lets it happen, and returns the pages that must come to the end."""

    play: Play
    javascript: bool = True
    proxied: bool = False


def reload(scene: Scene) -> Sequence[Page]:
    scene.page.reload()
    return [scene.page]


def back_and_forward(scene: Scene) -> Sequence[Page]:
    scene.page.go_back()
    scene.page.wait_for_url(f"**{scene.flow.came_from}")
    scene.page.go_forward()
    return [scene.page]


def second_tab(scene: Scene) -> Sequence[Page]:
    tab = scene.page.context.new_page()
    tab.goto(scene.page.url)
    return [scene.page, tab]


def another_browser(scene: Scene) -> Sequence[Page]:
    other = scene.browser.new_context().new_page()
    other.goto(scene.page.url)
    return [scene.page, other]


def offline(scene: Scene) -> Sequence[Page]:
    # Chromium's own switch leaves a WebSocket that is open alone.
    with scene.proxy.unplugged():
        scene.page.context.set_offline(True)
        scene.flow.expect_cut_off(scene.page)
        scene.page.wait_for_timeout(OFFLINE_SECONDS * 1000)
    scene.page.context.set_offline(False)
    return [scene.page]


def bad_gateway(scene: Scene) -> Sequence[Page]:
    with scene.proxy.answering(HTTPStatus.BAD_GATEWAY):
        scene.page.wait_for_timeout(FALLEN_OUT_SECONDS * 1000)
    assert scene.proxy.answered > 0, "the page met it"
    return [scene.page]


def server_killed(scene: Scene) -> Sequence[Page]:
    scene.house.web.stop(signal.SIGKILL)
    scene.flow.expect_cut_off(scene.page)
    scene.house.web.start()
    return [scene.page]


def nothing(scene: Scene) -> Sequence[Page]:
    return [scene.page]


CONDITIONS = {
    "reload": Condition(reload),
    "back and forward": Condition(back_and_forward),
    "second tab": Condition(second_tab),
    "another browser": Condition(another_browser),
    "10 s offline": Condition(offline, proxied=True),
    "502 for 5 s": Condition(bad_gateway, proxied=True),
    "server killed": Condition(server_killed),
    "without JavaScript": Condition(nothing, javascript=False),
}


@pytest.fixture(params=CONDITIONS)
def condition(request: pytest.FixtureRequest) -> Condition:
    return CONDITIONS[request.param]


@pytest.fixture
def scene(
    condition: Condition,
    flow: Flow,
    idle_house: House,
    proxy: WebProxy,
    browser: Browser,
) -> Iterator[Scene]:
    context = browser.new_context(java_script_enabled=condition.javascript)
    page = context.new_page()
    flow.javascript = condition.javascript
    flow.begin(page, proxy.url if condition.proxied else idle_house.url)
    yield Scene(idle_house, browser, proxy, page, flow)
    for one in browser.contexts:
        one.close()


def test_the_wait_goes_on_and_leads_on_once(condition: Condition, scene: Scene) -> None:
    scene.flow.expect_end(condition.play(scene))
