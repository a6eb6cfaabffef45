"""`earmark up`: everything on one host, kept alive and ended in good order."""

import os
import signal
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psutil
import pytest

from tests.cli.terminal import Running, Terminal
from tests.peers.lab import eventually


def status(url: str, path: str) -> int:
    """What the web answers."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def children(up: Running) -> list[psutil.Process]:
    return psutil.Process(up.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        for process in processes
    )


def live(earmark: Terminal) -> list[int]:
    rows = earmark.json("workers", "ls")
    return [row["pid"] for row in rows if row["state"] == "live"]


def test_it_makes_the_database_and_says_where_it_is(earmark: Terminal) -> None:
    with earmark.running("up", "--workers", "2") as up:
        url = up.line("Earmark is up: ")
        assert status(url, "/healthz") == 200
        assert len(live(earmark)) == 2
        assert earmark.run("doctor").code == 0
        mine = children(up)
        assert len(mine) == 3
        up.signal(signal.SIGTERM)
        assert up.wait() == 0
        assert gone(mine)
    assert [row["state"] for row in earmark.json("workers", "ls")] == ["stopped"] * 2


@pytest.mark.slow
def test_ctrl_c_ends_it_in_good_order(earmark: Terminal) -> None:
    with earmark.running("up") as up:
        up.line("Earmark is up: ")
        up.signal(signal.SIGINT)
        assert up.wait() == 0
    assert live(earmark) == []


def test_a_second_up_on_the_same_file_is_refused_but_workers_are_welcome(
    earmark: Terminal,
) -> None:
    with earmark.running("up") as up:
        up.line("Earmark is up: ")
        earmark.run("up").refused(69, str(up.pid), "earmark worker")
        with earmark.running("worker") as worker:
            worker.line("worker ready ")
            assert len(live(earmark)) == 2


def test_a_worker_that_is_killed_is_replaced(earmark: Terminal) -> None:
    with earmark.running("up") as up:
        up.line("Earmark is up: ")
        (first,) = live(earmark)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: live(earmark) not in ([], [first]), "another worker")
        (second,) = live(earmark)
        assert second != first


@pytest.mark.slow
def test_the_children_of_a_killed_up_end_and_the_next_takes_over(
    earmark: Terminal,
) -> None:
    first = Running(["up"], earmark.environment)
    try:
        first.line("Earmark is up: ")
        orphans = children(first)
    finally:
        first.kill()
    with earmark.running("up") as second:
        second.line("Earmark is up: ")
        assert gone(orphans)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["up", "web"])
def test_a_port_that_is_taken_is_named(
    verb: str, migrated: Terminal, taken_port: int
) -> None:
    bind = f"127.0.0.1:{taken_port}"
    migrated.run(verb, "--bind", bind).refused(69, bind, "in use", "--bind")
    migrated.run(verb, EARMARK_BIND=bind).refused(69, bind)
    migrated.run(verb, "--bind", "8080").refused(2, "HOST:PORT")


def test_a_command_that_cannot_be_loaded_ends_it(earmark: Terminal) -> None:
    ended = earmark.run("up", EARMARK_COMMANDS="no.such.module")
    ended.refused(2, "no.such.module")
