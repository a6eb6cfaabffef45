"""Consoles as programs see them: the house runs, the lab is a real RFB server, and what
comes through the web process is what a browser's client would get."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from .consoles import Stream, Watcher
from .house import House

GREETING = "SIMULATED CONSOLE of {}"


@pytest.fixture
def ann(house: House) -> Iterator[Watcher]:
    with Watcher(house) as made:
        yield made


@pytest.fixture
def bob(house: House) -> Iterator[Watcher]:
    with Watcher(house) as made:
        yield made


def test_the_screen_shows_what_is_typed(ann: Watcher) -> None:
    stream = ann.look("web01")
    assert stream.viewer.name == GREETING.format("web01")
    stream.viewer.wait_for(GREETING.format("web01"))
    stream.viewer.press("ls -l /")
    stream.viewer.wait_for("ls -l /_")
    stream.socket.close()
    # Its own end is written down; nobody is asked to take anything over.
    ann.look("web01").viewer.wait_for("ls -l /_")


def test_the_page_is_there_at_once_and_sets_a_strict_cookie(ann: Watcher) -> None:
    answer = ann.open_page("web01")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "A console needs JavaScript" in answer.text
    assert "set-cookie" not in ann.open_page("web01").headers


def test_a_ticket_is_good_once(ann: Watcher) -> None:
    ticket = ann.ticket("web02")
    ann.join(ticket).ready()
    assert ann.join(ticket).ending()["code"] == "ticket"


@pytest.mark.parametrize("field", ["ticket", "vm", "instead_of"])
@pytest.mark.parametrize("odd", ["\ud800", "\0"])
def test_a_first_message_that_no_store_takes_is_refused(
    ann: Watcher, field: str, odd: str
) -> None:
    ticket = ann.ticket("web02")
    if field == "instead_of":
        stream = ann.join(ticket, instead_of=odd)
    else:
        stream = ann.join(ticket | {field: odd})
    assert stream.ending()["code"] == "ticket"


@pytest.mark.slow
@pytest.mark.parametrize("in_a_write", [False, True])
def test_a_worker_that_stands_still_is_told(tmp_path: Path, in_a_write: bool) -> None:
    """A picture that does not change looks the same. It may stand still wherever it is,
    also where nobody else can write meanwhile."""
    with House(tmp_path) as house, Watcher(house) as ann:
        house.worker.start()
        house.add_lab()
        stream = ann.look("web01")
        pids = house.worker.pids()
        try:
            with _written_to(house) if in_a_write else nullcontext():
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                stopped = time.monotonic()
                assert stream.ending()["code"] == "worker-lost"
                assert time.monotonic() - stopped < 15
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@contextmanager
def _written_to(house: House) -> Iterator[None]:
    """Sit on the write lock, as a worker does that is stopped inside a transaction."""
    file = house.folder / "earmark.db"
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield
        writer.execute("ROLLBACK")


def test_of_many_who_use_a_ticket_at_once_one_gets_in(ann: Watcher) -> None:
    ticket = ann.ticket("app01")
    with ThreadPoolExecutor(6) as pool:
        streams = list(pool.map(lambda _: ann.join(ticket), range(6)))
        states = list(pool.map(_first_word, streams))
    assert sorted(states) == ["ready", *["ticket"] * 5]


def _first_word(stream: Stream) -> str:
    while (said := stream.said())["state"] == "waiting":
        continue
    return said.get("code", said["state"])


def test_a_ticket_is_for_the_browser_that_asked(ann: Watcher, bob: Watcher) -> None:
    ticket = ann.ticket("build01")
    bob.open_page("build01")
    assert bob.join(ticket).ending()["code"] == "ticket"
    with Watcher(ann.house) as nobody:
        assert nobody.join(ticket).ending()["code"] == "ticket"
        assert nobody.ask("build01").status_code == 403
    ann.join(ticket).ready()


def test_a_ticket_is_for_one_vm(ann: Watcher) -> None:
    ticket = ann.ticket("web01")
    other = ann.house.vm("web02")["id"]
    assert ann.join(ticket | {"vm": other}).ending()["code"] == "ticket"


@pytest.mark.parametrize("first", ["", "[]", "{}", '"x"', "null", '{"vm": 1}'])
def test_whoever_says_nonsense_first_is_let_go(house: House, first: str) -> None:
    address = f"{house.url.replace('http', 'ws')}/consoles/none/stream"
    with connect(address, proxy=None) as socket:
        socket.send(first)
        assert json.loads(socket.recv(timeout=10))["code"] == "ticket"


@pytest.mark.parametrize("end", ["stream", "relay"])
def test_a_page_of_elsewhere_cannot_open_a_stream(house: House, end: str) -> None:
    address = f"{house.url.replace('http', 'ws')}/consoles/none/{end}"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin("http://evil.example"), proxy=None)
    assert refused.value.response.status_code == 403


def test_nobody_joins_as_a_worker_without_the_secret(ann: Watcher) -> None:
    site = ann.house.url.replace("http", "ws")
    ann.house.lab.fault("hang", "read", times=50)
    try:
        ticket = ann.ticket("web01")
        stream = ann.join(ticket, take_over=True)
        assert stream.said()["state"] == "waiting"
        for console in (ticket["console"], "none"):
            with connect(f"{site}/consoles/{console}/relay", proxy=None) as socket:
                socket.send("guess")
                with pytest.raises(ConnectionClosed, match="Nobody waits for this"):
                    socket.recv(timeout=10)
        assert "did not answer in time" in stream.ending()["text"]
    finally:
        ann.house.lab.clear_faults()


def test_a_second_viewer_is_asked_before_the_first_is_ended(
    ann: Watcher, bob: Watcher
) -> None:
    first = ann.look("app01", take_over=True)
    assert bob.join(bob.ticket("app01")).ending()["code"] == "in-use"
    first.viewer.press("mine")
    first.viewer.wait_for("mine_")
    bob.look("app01", take_over=True).viewer.wait_for("mine_")
    ending = first.ending()
    assert ending["code"] == "taken-over"
    assert "took this console over" in ending["text"]


def test_a_vm_that_is_off_says_so(ann: Watcher) -> None:
    began = time.monotonic()
    ending = ann.join(ann.ticket("db01")).ending()
    assert "the virtual machine is off" in ending["text"]
    assert "power it on" in ending["text"]
    assert time.monotonic() - began < 10


def test_a_power_off_ends_the_console_with_its_reason(ann: Watcher) -> None:
    stream = ann.look("web02", take_over=True)
    vm = ann.house.vm("web02")
    task = ann.house.client.post(f"/api/v1/vms/{vm['id']}/actions/stop").json()
    ending = stream.ending()
    assert ending["code"] == "provider"
    assert "web02" in ending["text"]
    assert "Power off" in ending["text"] or "is off" in ending["text"]
    ann.house.ended(task["id"])


def test_a_provider_that_hangs_is_given_up_within_ten_seconds(ann: Watcher) -> None:
    ann.house.lab.fault("hang", "read", times=50)
    try:
        ticket = ann.ticket("web01")
        began = time.monotonic()
        assert ann.join(ticket, take_over=True).ending()["state"] == "ended"
        assert time.monotonic() - began < 11
    finally:
        ann.house.lab.clear_faults()


def test_nothing_secret_is_kept_or_logged(ann: Watcher) -> None:
    house = ann.house
    ticket = ann.ticket("build01")
    stream = ann.join(ticket, take_over=True)
    stream.ready()
    stream.viewer.enter()
    stream.viewer.press("topsecret")
    stream.viewer.wait_for("topsecret_")
    cookie = next(iter(ann.client.cookies.jar)).value
    stream.socket.close()
    logs = [house.folder / "worker.log", house.folder / "web.log"]
    kept = house.stored() + b"".join(log.read_bytes() for log in logs)
    for secret in (ticket["ticket"], cookie or "", "topsecret"):
        assert secret.encode() not in kept
    assert ticket["console"].encode() in kept
    task = house.json("/tasks", params={"command": "OpenConsole"})[0]
    assert task["outcome"] == "ok"
    assert "•••" not in json.dumps(task)


def test_a_killed_worker_ends_the_console_and_another_opens_it_again(
    quiet_house: House,
) -> None:
    house = quiet_house
    house.worker.start()
    house.add_lab()
    with Watcher(house) as ann:
        stream = ann.look("web01")
        house.worker.stop(signal.SIGKILL)
        assert stream.ending()["code"] == "worker-lost"
        house.worker.start()
        stream = ann.look("web01")
        stream.viewer.wait_for(GREETING.format("web01"))
        house.worker.stop()
        ending = stream.ending()
        assert ending["code"] == "worker-stopped"
        assert "the worker was stopped" in ending["text"]
        house.worker.start()
        stream = ann.look("web01")
        assert house.web.stop() < 2
        assert stream.ending()["code"] == "restart"


def test_whoever_comes_back_after_the_server_died_is_not_asked(
    quiet_house: House,
) -> None:
    house = quiet_house
    house.worker.start()
    house.add_lab()
    with Watcher(house) as ann, Watcher(house) as bob:
        before = ann.ticket("web01")
        ann.join(before).ready()
        house.web.stop(signal.SIGKILL)
        house.web.start()
        mine = {"instead_of": before["console"]}
        assert bob.join(bob.ticket("web01"), **mine).ending()["code"] == "in-use"
        ann.look("web01", **mine)


def test_without_a_worker_it_says_so_at_once(quiet_house: House) -> None:
    house = quiet_house
    house.worker.start()
    provider = house.add_lab()
    with Watcher(house) as ann:
        ann.open_page("web01")
        house.worker.stop()
        answer = ann.ask("web01")
        assert answer.status_code == 409
        assert "No live worker" in answer.json()["text"]
        assert provider.zone in answer.json()["text"]


@pytest.fixture
def short_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose consoles may stand still for two seconds."""
    monkeypatch.setenv("EARMARK_CONSOLE_IDLE_SECONDS", "2")
    with House(tmp_path) as made:
        made.worker.start()
        made.add_lab()
        yield made


def test_a_console_in_use_is_never_idle(short_house: House) -> None:
    with Watcher(short_house) as ann:
        stream = ann.look("web01")
        began = time.monotonic()
        said = ""
        while time.monotonic() - began < 3:
            said += "."
            stream.viewer.press(".")
            stream.viewer.wait_for(f"{said}_")
            time.sleep(0.4)  # a person who types slowly
        ending = stream.ending()
        assert ending["code"] == "idle"
        assert "2 seconds" in ending["text"]
        assert time.monotonic() - began > 4.5
