"""The list of tasks, narrowed: the page and REST by the same words, on both stores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.engine import browse
from earmark.engine.cancel import cancel
from earmark.engine.narrow import filter_of
from earmark.store.schema import tasks
from tests.engine.world import Make, MakeBlindly

from .deciding import Desk, main_of

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def listed(desk: Desk, words: str) -> list[str]:
    """The titles that the page shows, and REST must list the same."""
    page = desk.page(f"/tasks?{words}")
    shown = [
        unescape(it) for it in re.findall(r'class="title"><a [^>]*>(.*?)</a>', page)
    ]
    assert [task["title"] for task in desk.json(f"/tasks?{words}")] == shown
    return shown


def written(desk: Desk, task: Task, **values: object) -> None:
    """As if it had been asked for otherwise."""
    desk.stage.engine.write(
        lambda tx: tx.execute(
            sa.update(tasks).where(tasks.c.id == task.id).values(**values)
        )
    )


@pytest.fixture
def three(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Sequence[Task]:
    """A bell at noon, a book half a minute later, and a ball the day after."""
    # Their ids are of today.
    monkeypatch.setattr(browse, "CLOCKS_AGREE", timedelta(days=3650))
    made = [
        desk.stage.ask(kind(provider="p-1", what=what))
        for kind, what in ((Make, "bell"), (Make, "book"), (MakeBlindly, "ball"))
    ]
    times = (NOON, NOON + timedelta(seconds=30), NOON + timedelta(days=1))
    for task, at in zip(made, times, strict=True):
        written(desk, task, created_at=at)
    return made


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("since=2026-03-15", ["ball"]),
        ("until=2026-03-14", ["book", "bell"]),
        ("since=2026-03-14T12:00:01", ["ball", "book"]),
        ("until=2026-03-14T12:00:00", ["bell"]),
        ("until=2026-03-14T12:00", ["book", "bell"]),
        ("since=2026-03-14T14:00%2B02:00&until=2026-03-14T14:00:00%2B02:00", ["bell"]),
        ("since=2026-03-14&until=2026-03-14&q=boo", ["book"]),
        ("since=2026-03-16", []),
    ],
)
def test_a_time_means_all_of_its_day_minute_or_second(
    desk: Desk, three: Sequence[Task], words: str, titles: list[str]
) -> None:
    found = listed(desk, words)
    assert [title.split()[1] for title in found] == titles


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("since=yesterday", "'yesterday' in “since” is no date or time"),
        ("until=2026-02-30", "2026-01-31T14:05"),
        ("until=9999-12-31T23:59-12:00", "is no date or time"),
        ("since=2026-03-15&until=2026-03-14", "The later of the two"),
        ("object=web01", "such as vm:web01"),
        ("object=vm:nowhere", "There is no VM 'nowhere'"),
        ("zone=mars", "There is no zone 'mars'"),
        ("state=asleep", "There is no state 'asleep'"),
    ],
)
def test_a_filter_that_cannot_be_is_told_and_kept_in_the_form(
    desk: Desk, three: Sequence[Task], words: str, said: str
) -> None:
    answer = desk.client.get(f"/tasks?{words}")
    assert answer.status_code in (400, 404)
    page = unescape(answer.text)
    assert said in page
    assert 'role="alert" id="filter-error"' in page
    assert 'aria-invalid="true" aria-describedby="filter-error"' in page
    assert "Make bell" not in main_of(page)
    told = desk.client.get(f"/api/v1/tasks?{words}")
    assert told.status_code == answer.status_code
    assert said in told.json()["detail"] + told.json().get("hint", "")


def test_a_search_has_so_many_words(desk: Desk) -> None:
    words = "+".join(["zz"] * 21)
    log = f"/tasks/{desk.failed().id}/log?q={words}"
    lists = (f"/vms?q={words}", f"/tasks?q={words}", f"/api/v1/tasks?q={words}")
    for address in (log, *lists):
        answer = desk.client.get(address)
        assert answer.status_code == 400
        assert "at most 20" in answer.text
    assert listed(desk, "q=" + "+".join(["zz"] * 20)) == []


def test_the_first_and_the_last_day_of_the_calendar_are_days(desk: Desk) -> None:
    desk.stage.ask(Make(provider="p-1", what="bell"))
    for words in ("since=0001-01-01", "until=9999-12-31T23:10"):
        assert listed(desk, words) == ["Make bell"]


def test_an_address_or_a_form_with_a_nul_is_refused(desk: Desk) -> None:
    for address in (
        "/vms?q=%00",
        "/tasks?user=%00",
        "/tasks/%00/wait",
        "/vms?deed=%00",
    ):
        assert desk.client.get(address).status_code == 400, address
    for path in ("/tenants", "/tasks/bulk", "/vms/actions"):
        sent = {"name": "\0", "task": "\0", "vm": "\0", "verb": "cancel"}
        answer = desk.client.post(path, data=sent)
        assert answer.status_code == 400, path


def test_a_long_history_is_entered_near_the_time(desk: Desk) -> None:
    desk.stage.ask(Make(provider="p-1", what="bell"))
    now = desk.stage.engine.read(lambda tx: tx.now)
    day = f"{now:%Y-%m-%d}"
    assert listed(desk, f"since={day}&until={day}") == ["Make bell"]
    for words in (f"since={now + timedelta(days=1):%Y-%m-%d}", "until=2026-03-14"):
        assert listed(desk, words) == []


def test_by_whom_where_and_about_what(desk: Desk, three: Sequence[Task]) -> None:
    bell, book, _ = three
    written(desk, bell, owner="eve")
    written(desk, book, zone="default", object_kind="provider", object_id="p-2")
    assert listed(desk, "user=eve") == ["Make bell"]
    assert listed(desk, "user=eve&command=MakeBlindly") == []
    assert "Make book" not in listed(desk, "object=provider:scripted")
    assert len(listed(desk, "zone=default")) == 3
    page = desk.page("/tasks?object=provider:scripted&zone=default")
    assert 'name="object" value="provider:scripted"' in page, "as it was typed"
    assert "<details open>" in page


def test_words_are_found_in_the_title_and_in_the_message(
    desk: Desk, three: Sequence[Task]
) -> None:
    written(desk, three[0], message="The host 100% ignored it.")
    assert listed(desk, "q=IGNORED+bell") == ["Make bell"]
    assert listed(desk, "q=100%25+ignored") == ["Make bell"]
    assert listed(desk, "q=1%25i") == []


def test_a_search_that_stops_early_says_so_and_goes_on(
    desk: Desk, three: Sequence[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "LOOKED_THROUGH", 2)
    page = desk.page("/tasks?q=bell")
    assert "Make bell" not in main_of(page)
    assert "looked for in 2 tasks" in page
    further = re.search(r'href="(/tasks\?[^"]*before=[^"]*)" rel="next"', page)
    assert further is not None
    assert "Make bell" in desk.page(unescape(further[1]))
    told = desk.client.get("/api/v1/tasks?q=bell")
    assert told.json() == []
    again = desk.client.get(told.links["next"]["url"])
    assert [it["title"] for it in again.json()] == ["Make bell"]
    # What fits the other filters is all looked through.
    assert "looked for in" not in desk.page("/tasks?q=bell&until=2026-03-14")


def test_the_form_shows_times_as_its_fields_can(desk: Desk) -> None:
    page = desk.page("/tasks?since=2026-03-14&until=2026-03-14T12:00:30%2B01:00")
    assert 'name="since" value="2026-03-14T00:00"' in page
    assert 'name="until" value="2026-03-14T11:00"' in page


def test_an_open_page_looks_through_little_again(
    desk: Desk, three: Sequence[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked with every change, for as long as the page is open."""
    found = filter_of({"q": "bell"})

    def newer() -> int:
        return desk.stage.engine.read(lambda tx: browse.count_since(tx, found, ""))

    assert newer() == 1
    monkeypatch.setattr(browse, "LOOKED_AGAIN", 2)
    assert newer() == 0


def test_what_a_task_took_begins_when_it_was_claimed(desk: Desk) -> None:
    """As the figure that counts while it goes on, and as what past runs took."""
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    never = desk.stage.ask(Make(provider="p-1", what="book"))
    cancel(desk.stage.engine, never.id, "local")
    written(
        desk,
        task,
        created_at=NOON,
        started_at=NOON + timedelta(hours=1),
        finished_at=NOON + timedelta(hours=1, seconds=2),
    )
    written(desk, never, finished_at=NOON + timedelta(hours=3))
    page = desk.page("/tasks")
    cells = re.findall(r'class="wide num">(?:<span class="muted">)?([^<]*)', page)
    assert sorted(set(cells) - {"Took"}) == ["2 s", "—"]
    assert "<dt>Took</dt><dd>2 s</dd>" in desk.page(f"/tasks/{task.id}")
    assert "<dt>Took</dt>" not in desk.page(f"/tasks/{never.id}")
