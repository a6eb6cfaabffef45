"""A worker is stopped (SIGSTOP), others go on, it wakes up: its late writes change
nothing, and nothing is done twice (rules 1, 5; invariant 2)."""

import signal
import time

import pytest

from earmark.commands import AddVmTemplate, PowerOff, RefreshProvider
from earmark.domain.task import Task
from earmark.providers.lab import CONNECTOR
from earmark.store import placeholders
from tests.acceptance.house import House
from tests.peers.lab import eventually
from tests.peers.worker import WorkerProcess

SEND_SECONDS = CONNECTOR.operations["image.copy"].send_seconds


def stopped_at(house: House, boundary: str) -> WorkerProcess:
    # One slot: what it is about to do is one thing, and known.
    worker = house.worker(stop_at=boundary, slots=1)
    eventually(worker.stopped, f"the worker stops at {boundary}")
    return worker


def evidence(house: House, task: Task, kind: str) -> list[str]:
    effect = house.effect_of(task)
    rows = house.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    return [row.text for row in rows if row.kind == kind]


def first_sent(house: House, root: Task) -> Task:
    """The child whose request the stopped worker was about to send."""
    (child,) = [t for t in house.family(root)[1:] if t.state == "running"]
    return child


def test_woken_within_its_deadline_the_token_makes_it_one(house: House) -> None:
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    asleep = stopped_at(house, "send.committed")
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
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    asleep = stopped_at(house, "send.committed")
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
    task = house.ask(AddVmTemplate(vm="db01", name="golden"))
    asleep = stopped_at(house, "send.answered")
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
    task = house.ask(PowerOff(vm="web01"))
    asleep = stopped_at(house, "send.committed")
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
    task = house.ask(RefreshProvider(provider="lab"))
    asleep = stopped_at(house, "act.answered")
    house.worker()
    ended = house.end_of(task)
    assert (ended.outcome, ended.attempt) == ("ok", 2)
    asleep.signal(signal.SIGCONT)
    asleep.signal(signal.SIGTERM)
    assert asleep.wait() == 0
    assert house.family(task) == [ended]
