"""Many tasks at once: what it means is said before, and what came of it after."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from earmark.domain.ids import new_id
from earmark.domain.task import Task
from tests.engine.world import Make

from .deciding import Desk
from .house import key_in


def question(desk: Desk, verb: str, *tasks: Task, back: str = "") -> str:
    words = [("verb", verb), ("back", back), *(("task", it.id) for it in tasks)]
    return unescape(desk.page(f"/tasks/bulk?{urlencode(words)}"))


def fates(page: str) -> list[tuple[int, str]]:
    """How many, and what will happen to them."""
    found = re.findall(r'<li><strong class="num">(\d+)</strong><div><p>(.*?)</p>', page)
    return [(int(count), text) for count, text in found]


def do(desk: Desk, page: str, status: int = 303) -> str:
    """Send the question's form; returns where it leads."""
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page):
        fields.setdefault(name, []).append(value)
    answer = desk.client.post("/tasks/bulk", data=fields)
    assert answer.status_code == status, answer.text
    return str(answer.headers.get("location", answer.text))


def told(desk: Desk, address: str) -> str:
    page = desk.page(address)
    found = re.search(r'<div id="notices".*?</div>\s*</div>', page, re.S)
    assert found is not None
    return unescape(re.sub(r"<[^>]+>|\s+", " ", found[0]))


def test_a_cancel_is_foretold_by_its_meaning_and_done_where_it_can_be(
    desk: Desk,
) -> None:
    stage = desk.stage
    ended = desk.failed("old")
    held = desk.held("ball")
    two = [stage.ask(Make(provider="p-1", what=what)) for what in ("hat", "cup")]
    page = question(desk, "cancel", ended, *two, held, back="state=queued&x=y")
    assert "Cancel 3 tasks?" in page
    assert fates(page) == [
        (2, "Nothing has been sent: it ends at once."),
        (
            1,
            "Nothing more is sent. What is held ends only when a person decides.",
        ),
        (1, "It has ended already."),
    ]
    address = do(desk, page)
    assert address.startswith("/tasks?state=queued&deed=")
    assert [stage.task(it).outcome for it in two] == ["cancelled", "cancelled"]
    assert stage.task(held).cancelled_by is not None
    said = told(desk, address)
    assert "3 tasks asked to stop. Not 1:" in said
    assert "“Make old”: " in said
    assert "ended already" in said
    assert do(desk, page) == address, "the same form changes nothing"


def test_a_retry_asks_again_once(desk: Desk) -> None:
    ended = [desk.failed(what) for what in ("bell", "book")]
    page = question(desk, "retry", *ended)
    for _ in range(2):
        do(desk, page)
    again = [it.retry_of for it in desk.stage.tasks() if it.retry_of]
    assert sorted(again) == sorted(it.id for it in ended)


def test_only_what_has_ended_is_deleted(desk: Desk) -> None:
    ended = desk.failed("bell")
    waiting = desk.stage.ask(Make(provider="p-1", what="book"))
    page = question(desk, "delete", ended, waiting)
    assert "Delete 1 task?" in page
    assert "It has not ended yet." in page
    said = told(desk, do(desk, page))
    assert "1 task deleted. Not 1:" in said
    assert [it.id for it in desk.stage.tasks()] == [waiting.id]
    gone = desk.page(f"/tasks/{ended.id}", 404)
    assert "was deleted" in gone
    assert "failed: Make bell" in gone


def test_what_was_chosen_must_be_something_and_not_too_much(desk: Desk) -> None:
    assert "No task is selected" in question(desk, "cancel")
    nothing = desk.send("/tasks/bulk", 400, verb="cancel")
    assert "No task is chosen" in nothing
    assert "There are: cancel, retry, delete" in desk.page("/tasks/bulk?verb=burn", 400)
    many = [("task", new_id()) for _ in range(101)]
    assert "at most 100" in desk.page(f"/tasks/bulk?{urlencode(many)}&verb=retry", 400)
    form = {"verb": "retry", "idempotency_key": "short", "task": new_id()}
    assert "no key of a form" in desk.send("/tasks/bulk", 400, **form)


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_form_that_is_sent_again_after_a_crash_tells_of_all(
    desk: Desk, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server died when it had done a part of it; or two of them do it at once."""
    stage = desk.stage
    names = ("hat", "cup", "bell")
    if verb == "delete":
        tasks = [desk.failed(name) for name in names]
    else:
        tasks = [stage.ask(Make(provider="p-1", what=name)) for name in names]
    page = question(desk, verb, *tasks)

    def die(*_: object) -> None:
        raise RuntimeError("the server died here")

    with monkeypatch.context() as patch:
        patch.setattr("earmark.store.journal.note_deed", die)
        with pytest.raises(RuntimeError):
            do(desk, page)
    done = {"cancel": "asked to stop", "delete": "deleted"}[verb]
    said = told(desk, do(desk, page))
    assert f"3 tasks {done}." in said
    assert "Not" not in said


def test_the_way_back_is_a_list_of_tasks_and_nothing_else(desk: Desk) -> None:
    ended = desk.failed()
    page = question(desk, "retry", ended, back="//evil.example/?q=bell&before=0")
    assert 'href="/tasks?before=0"' in page or 'href="/tasks?q=bell' in page
    assert "evil" not in do(desk, page)


def test_without_a_script_all_of_a_page_can_be_ticked(desk: Desk) -> None:
    desk.failed("bell")
    page = desk.page("/tasks?state=done")
    link = re.search(r'<noscript><a href="([^"]+)"', page)
    assert link is not None
    assert "data-choose checked" in desk.page(unescape(link[1]))
    assert "data-choose checked" not in page
    assert key_in(question(desk, "retry", *desk.stage.tasks()))
