"""axe-core finds nothing: on no page, in no state, neither light nor dark."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from starlette.routing import Route

from earmark.commands import RefreshProvider
from earmark.engine.enqueue import transact
from earmark.store import inventory, orphans
from earmark.store.database import Transaction
from earmark.web import routes

from .house import House, task_in
from .preview import Preview
from .states import EVERY_PAGE

pytestmark = pytest.mark.browser
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()

#: What is folded or closed is shown too: axe overlooks what nobody can see.
LOOK = """async (dark) => {
  for (const it of document.querySelectorAll("details")) it.open = true;
  const options = dark
    ? { runOnly: ["color-contrast", "link-in-text-block"], resultTypes: ["violations"] }
    : { resultTypes: ["violations"] };
  const found = [];
  const look = async (where) => {
    const { violations } = await axe.run(where, options);
    for (const it of violations) for (const node of it.nodes)
      found.push(`${it.id} (${it.help}): ${node.html} ${node.failureSummary}`);
  };
  await look(document);
  for (const dialog of document.querySelectorAll("dialog:not([open])")) {
    dialog.showModal();
    await look(dialog);
    dialog.close();
  }
  return found;
}"""


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Page]:
    """A page that axe can be put into: the pages' own policy would keep it out."""
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def shown() -> Iterator[Preview]:
    with Preview.anywhere() as made:
        yield made


def complaints(page: Page, address: str) -> str:
    """What axe says about a page: everything in light, what colours change in dark."""
    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.evaluate(AXE)
    found = list(page.evaluate(LOOK, False))
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {it}" for it in page.evaluate(LOOK, True)]
    return "\n".join(found)


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_a_page_is_for_everybody(name: str, reader: Page, shown: Preview) -> None:
    assert complaints(reader, f"{shown.url}/full/{name}") == ""


def test_axe_is_awake(reader: Page, shown: Preview) -> None:
    """It does complain, of a rule for all looks and of one that only colours break."""
    for scheme in SCHEMES:
        reader.emulate_media(color_scheme=scheme)
        reader.goto(f"{shown.url}/full/vms")
        reader.evaluate(AXE)
        reader.add_style_tag(content="td { color: light-dark(#bbb, #555) !important }")
        reader.evaluate("document.querySelector('#choose-v1').ariaLabel = ''")
        found = " ".join(reader.evaluate(LOOK, scheme == "dark"))
        assert "color-contrast" in found
        assert ("label (" in found) == (scheme == "light")


Visit = Callable[[House, dict[str, str]], str]


#: Every page of the application by its route, and where it is in the house.
VISITS: dict[str, Visit] = {
    "/vms": lambda house, it: "/vms",
    "/vms/{vm}": lambda house, it: f"/vms/{it['vm']}?task={it['task']}",
    "/vms/{vm}/console": lambda house, it: f"/vms/{it['vm']}/console",
    "/vms/{vm}/templates/new": lambda house, it: f"/vms/{it['vm']}/templates/new",
    "/tasks": lambda house, it: "/tasks?user=nobody&since=2026-01-01T00:00",
    "/tasks/bulk": lambda house, it: f"/tasks/bulk?verb=cancel&task={it['task']}",
    "/tasks/{task}": lambda house, it: f"/tasks/{it['template']}",
    "/tasks/{task}/cancel": lambda house, it: f"/tasks/{it['task']}/cancel",
    "/tasks/{task}/log": lambda house, it: f"/tasks/{it['template']}/log",
    "/tasks/{task}/resolve": lambda house, it: (
        f"/tasks/{it['task']}/resolve?decision=send-again"
    ),
    "/tasks/{task}/wait": lambda house, it: f"/tasks/{it['waiting']}/wait?next=task",
    "/providers": lambda house, it: "/providers",
    "/providers/new": lambda house, it: "/providers/new?kind=ec2",
    "/providers/{provider}": lambda house, it: f"/providers/{it['provider']}",
    "/templates": lambda house, it: "/templates",
    "/tenants": lambda house, it: "/tenants",
    "/tenants/new": lambda house, it: "/tenants/new",
    "/orphans": lambda house, it: "/orphans",
    "/orphans/decided": lambda house, it: "/orphans/decided",
    "/orphans/{orphan}/adopt": lambda house, it: f"/orphans/{it['orphan']}/adopt",
    "/orphans/{orphan}/destroy": lambda house, it: f"/orphans/{it['orphan']}/destroy",
    "/workers": lambda house, it: "/workers",
    "/notifications": lambda house, it: "/notifications",
}
#: Answers to GET that are no pages: they lead on, or are for programs.
NO_PAGES = {
    "/",
    "/tasks/{task}/log.txt",
    "/tasks/{task}/log/error",
    "/notifications/{notification}",
    "/events",
    "/healthz",
    "/readyz",
}


def test_every_route_is_visited() -> None:
    """A page that is new has its visit here."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(routes.__path__):
        known: list[Any] = importlib.import_module(
            f"{routes.__name__}.{module.name}"
        ).ROUTES
        found |= {
            it.path
            for it in known
            if isinstance(it, Route) and "GET" in (it.methods or ())
        }
    assert found == set(VISITS) | NO_PAGES


def plant(tx: Transaction, provider_id: str) -> None:
    """Something that nothing explains."""
    seen = dict.fromkeys(("created_at", "first_seen_at", "last_seen_at"), tx.now)
    what = {"kind": "image", "external_id": "i-1", "name": "lost", "token": "t-1"}
    story = {"story": "Nobody knows.", "task_id": None, "provider_id": provider_id}
    orphans.insert(tx, {**seen, **what, **story})


@pytest.fixture(scope="module")
def there(house: House) -> dict[str, str]:
    """Things that have happened in the house, by what they are."""
    vm = house.vm("db01")["id"]
    answer = house.post(f"/vms/{vm}/templates", name="seen", idempotency_key="t")
    template = task_in(answer.headers["location"])
    stop = house.client.post(f"/api/v1/vms/{house.vm('web01')['id']}/actions/stop")
    for task in (template, stop.json()["id"]):
        house.ended(task)
    house.engine.write(lambda tx: inventory.add_zone(tx, "far"))
    far = house.add_quiet_lab("far", zone="far")  # where nobody works
    refresh = transact(
        house.engine, lambda tx: RefreshProvider(provider=far.id).enqueue(tx)
    )
    house.engine.write(lambda tx: plant(tx, far.id))
    (orphan,) = house.json("/orphans")
    return {
        "waiting": refresh.id,
        "orphan": orphan["id"],
        "vm": house.vm("web01")["id"],
        "task": stop.json()["id"],
        "template": template,
        "provider": house.json("/providers")[0]["id"],
    }


@pytest.mark.parametrize("path", VISITS)
def test_a_page_of_the_house_is_for_everybody(
    path: str, reader: Page, house: House, there: dict[str, str]
) -> None:
    assert complaints(reader, house.url + VISITS[path](house, there)) == ""


@pytest.mark.parametrize("path", ["/nowhere", "/tasks?zone=mars", "/tasks/nothing"])
def test_an_error_is_for_everybody(path: str, reader: Page, house: House) -> None:
    assert complaints(reader, house.url + path) == ""
