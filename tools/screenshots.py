"""Draw every page, light and dark, on a desk's screen and some on a telephone's.

    python tools/screenshots.py OUT [PAGE ...]
    python tools/screenshots.py --docs           what the README and the docs show

The pages are the tests' samples, so nothing is started but a small server and
Chromium; names of pages draw only those. The file PAGE-dark.png is the page in dark,
PAGE-narrow-dark.png on a telephone. `console-open` is the one page that is not a
sample: a console of the lab, in a house of its own.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.web.house import House  # noqa: E402 - found only now
from tests.web.preview import Preview  # noqa: E402
from tests.web.states import EVERY_PAGE  # noqa: E402

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
DOCS = ROOT / "docs" / "images"
#: What the README and the docs show: the picture, its page, and whether all of it.
PICTURES = {
    "template": ("task", False),
    "vms": ("vms-recent", False),
    "tasks": ("tasks", False),
    "held": ("task-held-plain", True),
    "wait": ("wait-slow", False),
}
#: Also drawn as on a telephone.
SMALL = {
    "vms", "vm-busy", "tasks", "task", "task-held", "wait-slow", "console",
    "orphans", "providers", "provider-new", "notifications-full", "workers", "error",
}  # fmt: skip
COLOURS = 128


def open_panel(page: Page) -> None:
    """The newest tasks at the foot, unfolded."""
    page.locator("#recent summary").click()
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")


def open_dialog(page: Page) -> None:
    """What is asked before a task is cancelled."""
    page.locator("[data-dialog]").first.click()


def compact(page: Page) -> None:
    """Rows that are close together."""
    page.locator("[data-density-toggle]").click()


#: Pages that somebody did something to: the sample, and what was done.
DONE_TO: dict[str, tuple[str, Callable[[Page], None]]] = {
    "vms-recent": ("vms", open_panel),
    "vms-compact": ("vms", compact),
    "vm-dialog": ("vm", open_dialog),
    "task-dialog": ("task", open_dialog),
    "tasks-compact": ("tasks", compact),
}

PAGES = {*EVERY_PAGE, *DONE_TO}


def shoot(page: Page, path: Path, whole: bool = True) -> None:
    """Keep a picture with few colours: a third of the bytes, and nothing is missed."""
    if whole:  # not full_page, which would leave the panel at the foot in the middle
        size = page.viewport_size
        assert size is not None
        tall = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**size, "height": max(size["height"], tall)})
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def draw(browser: Browser, url: str, out: Path, names: list[str]) -> None:
    """Draw the samples that are named."""
    for scheme in SCHEMES:
        for small in (False, True):
            context = browser.new_context(
                viewport=NARROW if small else WIDE,
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            for name in names:
                if small and name not in SMALL:
                    continue
                sample, do = DONE_TO.get(name, (name, None))
                page = context.new_page()
                visit(page, f"{url}/full/{sample}", do)
                mark = f"{'-narrow' if small else ''}-{scheme}"
                shoot(page, out / f"{name}{mark}.png", whole=do is not open_panel)
                page.evaluate("localStorage.clear()")
                page.close()
            context.close()


def draw_for_docs(browser: Browser, url: str, out: Path) -> None:
    """Draw what the README and the docs show, without the news on top."""
    for scheme in SCHEMES:
        for picture, (name, whole) in PICTURES.items():
            sample, do = DONE_TO.get(name, (name, None))
            page = browser.new_page(viewport=WIDE, color_scheme=scheme)
            visit(page, f"{url}/calm/{sample}", do)
            shoot(page, out / f"{picture}-{scheme}.png", whole)
            page.close()


def visit(page: Page, address: str, do: Callable[[Page], None] | None) -> None:
    """Open a page and wait until it is live, then do what is to be done to it."""
    page.goto(address)
    page.locator("html[data-live=yes], body:not(:has(#live))").wait_for()
    if do:
        do(page)


def draw_console(browser: Browser, out: Path, name: str = "console-open") -> None:
    """Open a console at the lab, type something, and draw it."""
    with tempfile.TemporaryDirectory() as folder, House(Path(folder)) as house:
        house.worker.start()
        house.add_lab()
        address = f"{house.url}/vms/{house.vm('web01')['id']}/console"
        for scheme in SCHEMES:
            page = browser.new_page(viewport=WIDE, color_scheme=scheme)
            page.goto(address)
            page.locator("#console[data-state=connected]").wait_for()
            if scheme == SCHEMES[0]:
                page.keyboard.type("uptime")
            page.wait_for_timeout(800)  # until the lab has drawn it
            shoot(page, out / f"{name}-{scheme}.png", whole=False)
            page.close()


def main() -> None:
    """Draw into the folder that the first word names, or what the docs show."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for_docs = sys.argv[1] == "--docs"
    out = DOCS if for_docs else Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    everything = [*EVERY_PAGE, *DONE_TO, "console-open"]
    names = sys.argv[2:] or everything
    if unknown := set(names) - set(everything):
        sys.exit(f"No such page: {', '.join(sorted(unknown))}.")
    with Preview.anywhere() as preview, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        if for_docs:
            draw_for_docs(browser, preview.url, out)
            draw_console(browser, out, "console")
        else:
            draw(browser, preview.url, out, [it for it in names if it in PAGES])
            if "console-open" in names:
                draw_console(browser, out)
        browser.close()


if __name__ == "__main__":
    main()
