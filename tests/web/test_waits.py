"""What a wait says of itself, on the page and in the stream."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta
from operator import methodcaller
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.commands import VerifyCredentials
from earmark.domain.errors import BadInput, UnknownName
from earmark.domain.settings import Settings
from earmark.domain.task import Task
from earmark.engine.cancel import cancel
from earmark.engine.enqueue import transact
from earmark.engine.pace import FEWEST, Expected
from earmark.store import schema, tasks
from earmark.web import continuations
from earmark.web.application import create_app
from earmark.web.continuations import initiate_wait_for_task, register_continuation
from earmark.web.live.compose import Composer
from earmark.web.live.topics import PageTopic
from earmark.web.site import Form, Site, posting, site_of
from tests.engine.world import Make

from .deciding import Client, Desk
from .house import House


def wait_of(task: Task) -> str:
    return f"/tasks/{task.id}/wait?next=task"


def streamed(desk: Desk, task: Task) -> str:
    """What the stream of the wait's page would send now."""
    topic = PageTopic("wait", wait_of(task))
    shown = desk.stage.engine.read(lambda tx: Composer().compose(tx, [topic]))
    return "".join(fragment.html for fragment in shown.get(topic, ()))


def past_runs(desk: Desk, count: int) -> None:
    for number in range(count):
        desk.stage.run(Make(provider="p-1", what=str(number)))
    # As on a quiet machine.
    for task in desk.stage.tasks():
        assert task.finished_at is not None
        begun = task.finished_at - timedelta(milliseconds=20)
        row = schema.tasks.c.id == task.id
        quick = sa.update(schema.tasks).where(row).values(started_at=begun)
        desk.stage.engine.write(methodcaller("execute", quick))


def asked(desk: Desk) -> Task:
    return desk.stage.ask(Make(provider="p-1", what="next"))


def test_it_says_how_long_it_takes_where_it_is_waited_for(desk: Desk) -> None:
    past_runs(desk, FEWEST)
    task = asked(desk)
    words = f"Usually less than 1 s, each of the last {FEWEST} runs within"
    assert words in desk.page(wait_of(task))
    assert words in desk.page(f"/tasks/{task.id}")
    assert words in streamed(desk, task)
    told = desk.json(f"/tasks/{task.id}")["expected"]
    assert told["text"].startswith(words)
    assert (told["runs"], told["slow"]) == (FEWEST, False)
    assert 0 <= told["usual_seconds"] <= told["longest_seconds"]


def test_of_too_few_runs_it_says_nothing(desk: Desk) -> None:
    past_runs(desk, FEWEST - 1)
    task = asked(desk)
    assert "Usually" not in desk.page(wait_of(task))
    assert desk.json(f"/tasks/{task.id}")["expected"] is None


def test_it_says_when_it_takes_longer_than_others(desk: Desk) -> None:
    past_runs(desk, FEWEST)
    task = asked(desk)
    desk.stage.claim()
    long_ago = task.created_at - timedelta(minutes=1)
    table = schema.tasks
    begun = sa.update(table).where(table.c.id == task.id).values(started_at=long_ago)
    desk.stage.engine.write(lambda tx: tx.execute(begun))
    words = f"Slower than each of the last {FEWEST} runs"
    assert words in desk.page(wait_of(task))
    assert words in streamed(desk, task)


@pytest.mark.parametrize(
    ("runs", "slow", "words"),
    [
        (20, False, "Usually 12 s, each of the last 20 runs within 40 s."),
        (20, True, "Slower than each of the last 20 runs: usually 12 s."),
        (200, False, "Usually 12 s, 99 of 100 within 40 s."),
        (200, True, "Slower than 99 % of past runs: usually 12 s."),
    ],
)
def test_a_share_is_said_only_of_a_hundred(runs: int, slow: bool, words: str) -> None:
    usual, longest = timedelta(seconds=12), timedelta(seconds=40)
    assert Expected(runs, usual, longest, slow).text == words


def test_a_page_of_ones_own_waits_and_goes_on(desk: Desk, settings: Settings) -> None:
    def done(site: Site, task_id: str) -> str:
        task = site.read(lambda tx: tasks.get(tx, task_id))
        return f"/made/{task.params['what']}?how={task.outcome}"

    def make(request: Request, form: Form) -> Response:
        command = Make(provider="p-1", what=form["what"])
        task = site_of(request).transact(lambda tx: command.enqueue(tx, key=form["k"]))
        return initiate_wait_for_task(task, next="made")

    for _ in range(2):
        register_continuation("made", done)
    page = Route("/make", posting(make), methods=["POST"])
    app = create_app(desk.stage.engine, settings, [page])
    client = Client(app)
    sent = [client.post("/make", data={"what": "bell", "k": "1"}) for _ in range(2)]
    wait, again = (answer.headers["location"] for answer in sent)
    assert wait == again, "sent twice, it is one wish and one wait"
    assert client.get(wait).status_code == 200
    desk.stage.work()
    for _ in range(2):
        answer = client.get(wait)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/made/bell?how=ok"
    app.state.site.watcher.close()


@pytest.fixture(autouse=True)
def own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(continuations, "_known", dict(continuations._known))


@pytest.mark.parametrize("name", ["a b", "", "../x", "x" * 65])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        register_continuation(name, lambda site, task: "/")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(BadInput, match="is there already"):
        register_continuation("task", lambda site, task: "/elsewhere")


def test_a_wait_is_begun_only_to_names_on_the_list(desk: Desk) -> None:
    task = asked(desk)
    with pytest.raises(UnknownName):
        initiate_wait_for_task(task, next="nowhere")


@pytest.mark.parametrize("address", ["https://e.example/", "//e.example", "/\\e", "x"])
def test_no_continuation_leads_away(desk: Desk, address: str) -> None:
    register_continuation("away", lambda site, task: address)
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    page = desk.page(f"/tasks/{task.id}/wait?next=away", 400)
    assert "leads away from here" in page


def test_a_continuation_that_leads_back_to_its_wait_is_refused(desk: Desk) -> None:
    register_continuation("round", lambda site, task: f"/tasks/{task}/wait?next=round")
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    page = desk.page(f"/tasks/{task.id}/wait?next=round", 400)
    assert "leads back to its own wait" in page


def test_a_continuation_that_does_not_answer_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuations, "ANSWER_SECONDS", 0.1)
    answered = threading.Event()

    def silent(site: Site, task_id: str) -> str:
        answered.wait(20)
        return "/"

    register_continuation("silent", silent)
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    try:
        page = desk.page(f"/tasks/{task.id}/wait?next=silent", 503)
    finally:
        answered.set()
    assert "has not answered for 0.1 s" in page


def test_a_continuation_that_would_end_the_process_does_not(desk: Desk) -> None:
    def ending(site: Site, task_id: str) -> str:
        raise SystemExit(3)

    register_continuation("ending", ending)
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    desk.page(f"/tasks/{task.id}/wait?next=ending", 500)


def test_a_wait_is_its_owners(desk: Desk) -> None:
    task = asked(desk)
    panel = f'id="wait-panel-{task.id}"'
    assert panel in desk.page(wait_of(task))
    table = schema.tasks
    given = sa.update(table).where(table.c.id == task.id).values(owner="somebody")
    desk.stage.engine.write(lambda tx: tx.execute(given))
    assert panel not in desk.page(wait_of(task), 404)
    assert task.title not in streamed(desk, task)
    desk.send(f"/tasks/{task.id}/background", 404)


BLOCKING = """
import time
from earmark.web.continuations import register_continuation
register_continuation("silent", lambda site, task_id: time.sleep(60) or "/")
ROUTES = []
"""


def test_an_authors_page_that_blocks_takes_nobody_elses_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty wait for it, more than there are threads; others go on, and so does the
    end of the server."""
    (tmp_path / "blocking.py").write_text(BLOCKING)
    monkeypatch.setenv("EARMARK_PAGES", "blocking")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), *sys.path)))
    with House(tmp_path) as house:
        command = VerifyCredentials(name="a", kind="lab", settings={}, secrets={})
        task = transact(house.engine, lambda tx: command.enqueue(tx))
        cancel(house.engine, task.id, "test")
        path = f"/tasks/{task.id}/wait?next=silent"
        asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        port = int(house.url.rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(50):
                socket_ = socket.create_connection(("127.0.0.1", port))
                stack.enter_context(socket_).sendall(asked)
            for _ in range(50):
                assert house.get("/tasks", timeout=5).status_code == 200
            assert house.web.stop() < 6
