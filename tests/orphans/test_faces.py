"""Orphans on the page and over REST: what people see, and what they can ask for."""

import html
from collections.abc import Iterator
from functools import partial

import pytest

from earmark.commands import CreateTenant
from earmark.domain.inventory import Provider
from earmark.domain.orphan import SweepState
from earmark.domain.settings import Settings
from earmark.engine.sweep import could_not
from earmark.store import inventory
from earmark.web.application import create_app
from earmark.worker.scheduler import Scheduler
from tests.orphans.yard import Yard
from tests.web.deciding import Client


@pytest.fixture
def client(yard: Yard, settings: Settings) -> Iterator[Client]:
    app = create_app(yard.engine, settings)
    yield Client(app)
    app.state.site.watcher.close()


def page(client: Client, path: str = "/orphans") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def test_an_empty_ledger_says_when_each_provider_was_looked_through(
    yard: Yard, client: Client
) -> None:
    aws = Provider("aws", "aws", "ec2", "default", {"region": "x"})
    yard.engine.write(lambda tx: inventory.add_provider(tx, aws))
    Scheduler(yard.engine, "w-1", 60).round()
    yard.run(CreateTenant(provider="lab", name="blue"))
    yard.tenant("theirs", "t-1", installation="019a0000-another")
    yard.sweep()
    shown = page(client)
    assert "Nothing is unexplained" in shown
    assert "1 with our mark, 0 orphans open now, 1 of another installation." in shown
    assert "1 of another installation: never touched from here." in shown
    assert "Earmark makes nothing at this kind of provider" in shown


def test_before_a_sweep_nothing_is_claimed(yard: Yard, client: Client) -> None:
    shown = page(client)
    assert "Not swept yet." in shown
    assert "Not looked for yet" in shown
    assert "No sweep of lab has come to its end yet" in shown
    assert "Nothing is unexplained" not in shown
    assert "circle-check" not in shown.partition("<main")[2]


def test_where_some_were_never_swept_it_says_which(yard: Yard, client: Client) -> None:
    for name in ("east", "west"):
        other = Provider(name, name, "lab", "default", {"url": "http://x"})
        yard.engine.write(partial(inventory.add_provider, new=other))
    failed = "The connection was refused."
    yard.engine.write(lambda tx: could_not(tx, "west", SweepState.ERROR, failed))
    yard.sweep()
    shown = page(client)
    assert "Nothing is unexplained where it was looked for" in shown
    assert "No sweep of east and west has come to its end yet" in shown
    empty = shown.partition('class="empty"')[2].partition("</div>")[0]
    assert "circle-check" not in empty


def test_where_nothing_is_made_nothing_is_claimed_to_be_explained(
    yard: Yard, client: Client
) -> None:
    at, none = yard.lab.ids[0], "Earmark makes nothing at this kind of provider."
    yard.engine.write(lambda tx: could_not(tx, at, SweepState.UNSUPPORTED, none))
    shown = page(client)
    assert "Nothing to sweep" in shown
    assert "Nothing is unexplained" not in shown


def test_an_orphan_is_shown_with_its_story_and_counted_on_every_page(
    yard: Yard, client: Client
) -> None:
    task = yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    shown = page(client)
    assert orphan.story in shown
    assert orphan.external_id in shown
    assert f'href="/tasks/{task.id}"' in shown
    assert f'href="/orphans/{orphan.id}/adopt"' in shown
    counted = '<span id="nav-orphans" class="count">1<'
    assert counted in page(client, "/vms")
    for asked in ("adopt", "destroy"):
        whole = page(client, f"/orphans/{orphan.id}/{asked}")
        assert '<a href="/orphans" aria-current="page">' in whole
        facts = whole.partition("<main")[2]
        for fact in (orphan.story, orphan.external_id, orphan.name, ">lab</a>"):
            assert fact in facts
    assert 'class="danger"' in whole
    (told,) = client.get("/api/v1/orphans?provider=lab").json()
    assert (told["id"], told["provider"], told["task"]) == (orphan.id, "lab", task.id)
    assert told["state"] == "open"
    (swept,) = client.get("/api/v1/sweeps").json()
    assert (swept["provider"], swept["state"], swept["seen"]) == ("lab", "ok", 2)


def test_what_is_missing_is_shown_with_the_task_that_made_it(
    yard: Yard, client: Client
) -> None:
    task = yard.run(yard.copy())
    yard.call("DELETE", f"/images/{task.result}")
    yard.pass_time()
    yard.sweep()
    shown = page(client)
    assert "We made it, and its provider does not show it." in shown
    assert str(task.result) in shown
    (swept,) = client.get("/api/v1/sweeps").json()
    assert [it["task_id"] for it in swept["missing"]] == [task.id]


def test_it_is_adopted_by_a_form_that_asks_why(yard: Yard, client: Client) -> None:
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    where = f"/orphans/{orphan.id}/adopt"
    refused = client.post(where, data={"why": " "})
    assert refused.status_code == 422
    assert "at least 1 character" in html.unescape(refused.text)
    form = {"why": "We use it & like it.", "idempotency_key": "k"}
    answer = client.post(where, data=form)
    assert answer.status_code == 303
    wait = answer.headers["location"]
    yard.work()
    after = client.get(wait).headers["location"]
    assert after.startswith("/orphans?task=")
    assert "Nothing is unexplained" in page(client, after)
    decided = page(client, "/orphans/decided")
    for fact in ("Adopted", "We use it & like it.", "by local", orphan.external_id):
        assert fact in decided
    refused = client.get(where)
    assert refused.status_code == 409
    assert 'href="/orphans">All orphans</a>' in refused.text
    (told,) = client.get("/api/v1/orphans?all=true").json()
    assert (told["state"], told["why"]) == ("adopted", "We use it & like it.")


def test_it_is_destroyed_after_a_question(yard: Yard, client: Client) -> None:
    yard.double()
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    where = f"/orphans/{orphan.id}/destroy"
    assert "for good" in page(client, where)
    answer = client.post(where, data={"idempotency_key": "k"})
    yard.work()
    assert answer.status_code == 303
    assert len(yard.things("image")) == 1
    assert "Nothing is unexplained" in page(client)


def test_programs_adopt_destroy_and_sweep(yard: Yard, client: Client) -> None:
    yard.double()
    yard.pass_time()
    swept = client.post("/api/v1/providers/lab/sweep")
    assert swept.status_code == 202
    assert swept.headers["location"] == f"/api/v1/tasks/{swept.json()['id']}"
    yard.work()
    (orphan,) = client.get("/api/v1/orphans").json()
    where = f"/api/v1/orphans/{orphan['id']}"
    assert client.get(where).json() == orphan
    assert client.post(f"{where}/adopt", json={"why": ""}).status_code == 422
    asked = client.post(f"{where}/destroy")
    assert (asked.status_code, asked.json()["command"]) == (202, "DestroyOrphan")
    yard.work()
    late = client.post(f"{where}/adopt", json={"why": "late"})
    assert late.status_code == 409
    assert "had it destroyed already" in late.json()["detail"]
    assert client.post("/api/v1/orphans/none/destroy").status_code == 404


def test_a_sweep_is_asked_for_with_a_button(yard: Yard, client: Client) -> None:
    where = f"/providers/{yard.lab.ids[0]}/sweep"
    answer = client.post(where, data={"idempotency_key": "k"})
    assert answer.headers["location"].startswith("/orphans?task=")
    yard.work()
    assert "0 with our mark, 0 orphans open now." in page(client)
