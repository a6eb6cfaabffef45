"""Draw every page, light and dark, on a desk's screen and some on a telephone's.

    python tools/screenshots.py OUT [PAGE ...]

The pages are the tests' samples, so nothing is started but a small server and
Chromium; names of pages draw only those. The file PAGE-dark.png is the page in dark,
PAGE-narrow-dark.png on a telephone. `console-open` is the one page that is not a
sample: a console of the lab, in a house of its own.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.web.house import House  # noqa: E402 - found only now
from tests.web.preview import Preview  # noqa: E402
from tests.web.states import EVERY_PAGE  # noqa: E402

WIDE = (1280, 800)
NARROW = (390, 844)
SCHEMES = ("light", "dark")
#: Also drawn as on a telephone.
SMALL = {
    "vms", "vm-busy", "tasks", "task", "task-held", "wait-slow", "console",
    "providers", "provider-new", "notifications-full", "workers", "error",
}  # fmt: skip
COLOURS = 128


def open_panel(page: Page) -> None:
    """The newest tasks at the foot, unfolded."""
    page.locator("#recent summary").click()
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
            width, height = NARROW if small else WIDE
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            for name in names:
                if small and name not in SMALL:
                    continue
                sample, do = DONE_TO.get(name, (name, None))
                page = context.new_page()
                page.goto(f"{url}/full/{sample}")
                page.locator("html[data-live=yes], body:not(:has(#live))").wait_for()
                if do:
                    do(page)
                mark = f"{'-narrow' if small else ''}-{scheme}"
                shoot(page, out / f"{name}{mark}.png", whole=do is not open_panel)
                page.evaluate("localStorage.clear()")
                page.close()
            context.close()


def draw_console(browser: Browser, out: Path) -> None:
    """Open a console at the lab, type something, and draw it."""
    with tempfile.TemporaryDirectory() as folder, House(Path(folder)) as house:
        house.worker.start()
        house.add_lab()
        for scheme in SCHEMES:
            width, height = WIDE
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page.goto(f"{house.url}/vms/{house.vm('web01')['id']}/console")
            page.locator("#console[data-state=connected]").wait_for()
            page.keyboard.type("uptime")
            page.wait_for_timeout(800)
            shoot(page, out / f"console-open-{scheme}.png", whole=False)
            page.close()


def main() -> None:
    """Draw into the folder that the first word names."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    everything = [*EVERY_PAGE, *DONE_TO, "console-open"]
    names = sys.argv[2:] or everything
    if unknown := set(names) - set(everything):
        sys.exit(f"No such page: {', '.join(sorted(unknown))}.")
    with Preview.anywhere() as preview, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        draw(browser, preview.url, out, [it for it in names if it != "console-open"])
        if "console-open" in names:
            draw_console(browser, out)
        browser.close()


if __name__ == "__main__":
    main()
