"""A worker is stopped (SIGSTOP), others go on, it wakes up: its late writes change
nothing, and nothing is done twice (rules 1, 5; invariant 2)."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from earmark.commands import AddVmTemplate, PowerOff, RefreshProvider
from earmark.domain.command import Command
from earmark.domain.task import Task
from earmark.providers.lab import CONNECTOR
from earmark.store import placeholders
from earmark.store.writer import marks_folder
from tests.acceptance.house import House
from tests.peers.lab import eventually
from tests.peers.worker import WorkerProcess

pytestmark = pytest.mark.slow

SEND_SECONDS = CONNECTOR.operations["image.copy"].send_seconds


def put_to_sleep(
    house: House, command: Command[Any], boundary: str
) -> tuple[Task, WorkerProcess]:
    """Ask, and stop the worker at a boundary of it.

    One slot: what it is about to do is one thing, and known. It hardly beats, and is
    asked only once it is idle: on SQLite a process that is stopped inside a writing
    transaction is ended, as it must be (see `tests/store/test_writer.py`), and would
    not wake up here.
    """
    worker = house.worker(stop_at=boundary, slots=1, beat_seconds=60)
    eventually(quiet(house), "its first rounds are over")
    task = house.ask(command)
    eventually(worker.stopped, f"the worker stops at {boundary}")
    return task, worker


def quiet(house: House) -> Callable[[], bool]:
    """A probe that is true once no process has written to SQLite for half a second."""
    file = house.engine.database.file
    seen, since = "", time.monotonic()

    def probe() -> bool:
        nonlocal seen, since
        marks = sorted(marks_folder(file).iterdir()) if file else []
        now = repr([(mark.read_text(), mark.stat().st_mtime_ns) for mark in marks])
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    return probe


def evidence(house: House, task: Task, kind: str) -> list[str]:
    effect = house.effect_of(task)
    rows = house.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    return [row.text for row in rows if row.kind == kind]


def first_sent(house: House, root: Task) -> Task:
    """The child whose request the stopped worker was about to send."""
    (child,) = [t for t in house.family(root)[1:] if t.state == "running"]
    return child


def test_woken_within_its_deadline_the_token_makes_it_one(house: House) -> None:
    task, asleep = put_to_sleep(
        house, AddVmTemplate(vm="db01", name="golden"), "send.committed"
    )
    child = first_sent(house, task)
    house.worker()
    assert house.end_of(task).outcome == "ok", house.story(task)
    before = house.family(task)
    asleep.signal(signal.SIGCONT)
    eventually(lambda: evidence(house, child, "late"), "the late answer is kept")
    assert house.family(task) == before
    house.assert_one_effect_each(task)
    house.assert_settled(task)


@pytest.mark.slow
def test_woken_past_its_deadline_no_byte_leaves(house: House) -> None:
    task, asleep = put_to_sleep(
        house, AddVmTemplate(vm="db01", name="golden"), "send.committed"
    )
    stopped = time.monotonic()
    child = first_sent(house, task)
    house.worker()
    assert house.end_of(task).outcome == "ok", house.story(task)
    before = house.family(task)
    past = stopped + SEND_SECONDS + 1
    eventually(lambda: time.monotonic() > past, "the deadline passes", seconds=30)
    posts = len(house.lab.requests(token=house.effect_of(child).id))
    asleep.signal(signal.SIGCONT)
    (late,) = eventually(lambda: evidence(house, child, "late"), "a late word")
    assert late.startswith("A late send did not leave: The deadline passed before")
    assert len(house.lab.requests(token=house.effect_of(child).id)) == posts
    assert house.family(task) == before
    house.assert_one_effect_each(task)


def test_woken_with_an_answer_that_another_found(house: House) -> None:
    task, asleep = put_to_sleep(
        house, AddVmTemplate(vm="db01", name="golden"), "send.answered"
    )
    child = first_sent(house, task)
    house.worker()
    assert house.end_of(task).outcome == "ok", house.story(task)
    before = house.family(task)
    asleep.signal(signal.SIGCONT)
    (late,) = eventually(lambda: evidence(house, child, "late"), "a late word")
    assert str(house.effect_of(child).external_id) in late
    assert house.family(task) == before
    house.assert_one_effect_each(task)


@pytest.mark.slow
def test_an_absolute_request_waits_for_the_sleeper(house: House) -> None:
    """Nobody can prove that a stopped sender will not send: so nobody sends again
    until it has woken up and said that it did not (invariant 4)."""
    task, asleep = put_to_sleep(house, PowerOff(vm="web01"), "send.committed")
    stopped = time.monotonic()
    house.worker()
    eventually(lambda: house.effect_of(task).state == "in_doubt", "it is in doubt")
    past = stopped + SEND_SECONDS + 1
    eventually(lambda: time.monotonic() > past, "the deadline passes", seconds=30)
    assert house.lab.requests(verb="vm.stop") == []
    asleep.signal(signal.SIGCONT)
    assert house.end_of(task).outcome == "ok", house.story(task)
    house.assert_one_effect_each(task)
    house.assert_settled(task)


def test_a_woken_action_changes_nothing(house: House) -> None:
    task, asleep = put_to_sleep(house, RefreshProvider(provider="lab"), "act.answered")
    house.worker()
    ended = house.end_of(task)
    assert (ended.outcome, ended.attempt) == ("ok", 2)
    asleep.signal(signal.SIGCONT)
    asleep.signal(signal.SIGTERM)
    assert asleep.wait() == 0
    assert house.family(task) == [ended]
