"""Streams: state first, then changes; one watcher for everybody; a clean end."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import event

from earmark.commands import VerifyCredentials
from earmark.domain.errors import BadInput, Unavailable
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.store import tasks as rows
from earmark.store import workers
from earmark.web.app import open_listener
from earmark.web.fragments import Fragment
from earmark.web.live import streams, waits, watcher
from earmark.web.live.compose import Composer
from earmark.web.live.topics import parse
from earmark.web.live.watcher import Watcher

from .house import House, task_in

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: another test's browser may have left a loop in this
    one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def message_with(lines: Iterator[str], words: str) -> str:
    """Read a stream up to the message that has these words."""
    message = ""
    for line in lines:
        message += line + "\n"
        if line == "":
            if words in message:
                return message
            message = ""
    raise AssertionError(f"the stream ended without {words!r}")


def test_a_stream_begins_with_what_is_and_goes_on_with_what_changes(
    house: House,
) -> None:
    vm = house.vm("web01")
    topics = f"/events?topics=vm:{vm['id']}"
    with house.client.stream("GET", topics) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        message_with(lines, f'id="vm-panel-{vm["id"]}"')
        answer = house.post(f"/vms/{vm['id']}/actions/stop", idempotency_key="s")
        task_id = task_in(answer.headers["location"].partition("task=")[2])
        changed = message_with(lines, "held by")
        assert f"/tasks/{task_id}" in changed
        message_with(lines, ">Off</span>")


def test_a_list_tells_of_newer_tasks_without_moving_its_rows(house: House) -> None:
    newest = house.json("/tasks")[0]["id"]
    topics = f"/events?topics=tasks:rows%3D{newest}"
    with house.client.stream("GET", topics) as stream:
        lines = stream.iter_lines()
        message_with(lines, f'id="task-{newest}"')
        house.post(f"/vms/{house.vm('web02')['id']}/actions/start")
        message_with(lines, "1 newer task: show")


@pytest.mark.parametrize(
    "topics",
    ["nonsense", "vm:", "vm:a b", "tasks:state=x", "wait:http://e", "wait:/vms/1"],
)
def test_a_topic_that_no_page_shows_is_refused(house: House, topics: str) -> None:
    answer = house.get("/events", params={"topics": topics})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "topic",
    ["vms:q=" + "+".join("a" * 999), "tasks:q=" + "+".join("a" * 999), "vms:q=%00"],
)
def test_a_topic_that_no_store_can_look_for_is_refused(topic: str) -> None:
    """One watcher asks for all pages: with this among them, it could for none."""
    with pytest.raises(BadInput):
        parse(topic)


@pytest.mark.parametrize("time", ["since=0001-01-01", "until=9999-12-31T23:10"])
def test_a_time_at_the_end_of_the_calendar_can_be_watched(
    engine: Engine, time: str
) -> None:
    topics = parse(f"tasks:{time}")
    assert engine.read(lambda tx: Composer().compose(tx, topics))


def test_the_end_of_the_server_is_the_end_of_its_streams(quiet_house: House) -> None:
    house = quiet_house
    with ExitStack() as stack:
        open_streams = [
            stack.enter_context(house.client.stream("GET", "/events?topics=workers"))
            for _ in range(5)
        ]
        readers = [stream.iter_lines() for stream in open_streams]
        for lines in readers:
            message_with(lines, 'id="zones"')
        assert house.web.stop() < 2
        for lines in readers:
            message_with(lines, "event: earmark:bye")


def test_a_server_that_ends_lets_waits_go(quiet_house: House) -> None:
    house = quiet_house
    task = transact(house.engine, lambda tx: _verification().enqueue(tx))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = client.get(
                f"{house.url}/api/v1/tasks/{task.id}", headers={"Prefer": "wait=60"}
            )
            asked = asyncio.create_task(answer)
            watched = client.stream("GET", f"{house.url}/events?topics=task:{task.id}")
            async with watched as stream:
                async for line in stream.aiter_lines():
                    if f"task-panel-{task.id}" in line:
                        break
                await asyncio.to_thread(house.web.stop)
            return await asked

    assert run(ask()).json()["state"] == "queued"


def _verification() -> Any:
    return VerifyCredentials(name="a", kind="lab", settings={}, secrets={})


def test_a_port_in_use_is_said_clearly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unavailable) as caught:
            open_listener(f"127.0.0.1:{taken.getsockname()[1]}")
    assert "EARMARK_BIND" in caught.value.hint


@pytest.mark.parametrize("bind", ["0.0.0.0:80", "[::]:80", "10.1.2.3:80", "80", "a:b"])
def test_only_this_machine_is_served(bind: str) -> None:
    with pytest.raises(BadInput):
        open_listener(bind)


def statements_of_a_round(engine: Engine, watch: Watcher) -> int:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1

    event.listen(engine.database.engine, "before_cursor_execute", count)
    try:
        watch._round()
    finally:
        event.remove(engine.database.engine, "before_cursor_execute", count)
    return seen


class StillWatcher(Watcher):
    """Looks only when it is told to."""

    def _look(self) -> None:
        pass


def test_the_cost_of_a_look_does_not_grow_with_the_browsers(engine: Engine) -> None:
    tasks = [
        transact(engine, lambda tx: _verification().enqueue(tx)).id for _ in range(200)
    ]

    async def cost(of: list[str]) -> tuple[int, int]:
        """Of the first look, and of the next one."""
        watch = StillWatcher(engine)
        with ExitStack() as stack:
            for task_id in of:
                topics = parse(
                    f"wait:/tasks/{task_id}/wait?next=task,task:{task_id},workers,recent"
                )
                stack.enter_context(watch.stream(topics))
            count = partial(statements_of_a_round, engine, watch)
            first = await asyncio.to_thread(count)
            watch._composer._waits._due = math.inf  # not yet
            return first, await asyncio.to_thread(count)

    async def measure() -> tuple[tuple[int, int], tuple[int, int]]:
        return await cost(tasks[:5]), await cost(tasks)

    few, many = run(measure())
    # BEGIN, 4 for the head of every page, 4 for the recent tasks, 6 for the task's page
    # and once what past runs took, 4 for the workers' page; the wait takes 4, then 1.
    assert many == few <= (24, 20)


def test_a_wait_is_not_read_again_until_it_changes(engine: Engine) -> None:
    task = transact(engine, lambda tx: _verification().enqueue(tx))
    topics = parse(f"wait:/tasks/{task.id}/wait?next=task")
    composer = Composer()

    def panel() -> Fragment:
        (fragment,) = engine.read(lambda tx: composer.compose(tx, topics))[
            next(iter(topics))
        ]
        return fragment

    first = panel()
    assert composer.rests_until == math.inf
    composer._waits._due = math.inf
    assert panel() is first
    assert composer.rests_until == composer._waits._due
    engine.write(lambda tx: rows.change(tx, task, priority=7))
    assert panel() is not first
    assert composer.rests_until == composer._waits._due


def test_nobody_looks_again_for_pages_that_are_gone(engine: Engine) -> None:
    """A wait leaves right after the change that ends it: nothing is due any more."""
    task = transact(engine, lambda tx: _verification().enqueue(tx))

    async def look() -> list[float]:
        watch = StillWatcher(engine)
        with watch.stream(parse(f"wait:/tasks/{task.id}/wait?next=task")):
            watch._round()
            watch._composer._waits._due = math.nextafter(math.inf, 0)
            due = watch._round()
        return [due, watch._round()]

    assert run(look()) == [math.nextafter(math.inf, 0), math.inf]


def test_what_others_do_to_a_wait_is_seen_a_moment_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own row stays as it is: a worker has come."""
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", 60.0)
    monkeypatch.setattr(waits, "SHARE", 0.001)
    task = transact(engine, lambda tx: _verification().enqueue(tx))
    worker = {
        "id": "w-1",
        "host": "h",
        "pid": 1,
        "pid_started": 1.0,
        "slots": 1,
        "machine": "m",
        "zone": "default",
        "roles": ["*"],
        "commands": [["VerifyCredentials", 1]],
    }

    async def read() -> None:
        watch = Watcher(engine)
        with watch.stream(parse(f"wait:/tasks/{task.id}/wait?next=task")) as stream:
            texts = stream.read()
            while b"no live worker" not in await anext(texts):
                pass
            register = partial(workers.register, values=worker)
            await asyncio.to_thread(engine.write, register)
            while b"it is the next one" not in await anext(texts):
                pass
        watch.close()

    run(asyncio.wait_for(read(), 20))


def test_what_cannot_be_shown_keeps_nobody_else_from_being_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in one page, as it would be: the others live on."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Composer, "_tenants", broken)

    async def read() -> None:
        watch = Watcher(engine)
        with watch.stream(parse("tenants")), watch.stream(parse("workers")) as stream:
            texts = stream.read()
            while b"No live worker in this zone" not in await anext(texts):
                pass
        watch.close()

    run(asyncio.wait_for(read(), 20))


def test_a_reader_that_is_too_slow_is_cut(engine: Engine) -> None:
    async def read() -> int:
        watch = StillWatcher(engine)
        with watch.stream(parse("workers")) as stream:
            for number in range(streams.BACKLOG * 2):
                stream.put(b"%d" % number)
            return len([text async for text in stream.read()])

    assert run(read()) == 1 + streams.BACKLOG


def test_a_silent_stream_beats(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.01)

    async def read() -> bytes:
        watch = StillWatcher(engine)
        with watch.stream(parse("workers")) as stream:
            texts = stream.read()
            await anext(texts)
            return await anext(texts)

    assert b"event: earmark:beat" in run(read())


def test_every_topic_can_be_read_on_both_stores(engine: Engine) -> None:
    task = transact(engine, lambda tx: _verification().enqueue(tx)).id
    topics = parse(
        f"vms:q=w&after=a/b,vm:none,tasks:rows={task}&state=queued,task:{task},"
        f"wait:/tasks/{task}/wait?next=task,providers,templates,workers"
    ) | parse("tenants,orphans,notifications,recent")
    shown = engine.read(lambda tx: Composer().compose(tx, topics))
    told = {topic.name: len(found) for topic, found in shown.items()}
    assert told == {
        "every": 4,
        "vms": 1,
        "tasks": 2,
        "task": 4,
        "wait": 1,
        "providers": 1,
        "templates": 1,
        "tenants": 1,
        "orphans": 1,
        "workers": 1,
        "notifications": 1,
        "recent": 1,
    }
