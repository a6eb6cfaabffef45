"""What a wait says of itself, on the page and in the stream."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.engine.pace import FEWEST
from earmark.store import schema
from earmark.web import looks
from earmark.web.live.compose import Composer
from earmark.web.live.topics import PageTopic
from earmark.web.views import Expected
from tests.engine.world import Make

from .deciding import Desk


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


def asked(desk: Desk) -> Task:
    return desk.stage.ask(Make(provider="p-1", what="next"))


def test_it_says_how_long_it_takes_where_it_is_waited_for(desk: Desk) -> None:
    past_runs(desk, FEWEST)
    task = asked(desk)
    words = f"Usually less than 1 s, each of the last {FEWEST} runs within"
    assert words in desk.page(wait_of(task))
    assert words in desk.page(f"/tasks/{task.id}")
    assert words in streamed(desk, task)


def test_of_too_few_runs_it_says_nothing(desk: Desk) -> None:
    past_runs(desk, FEWEST - 1)
    assert "Usually" not in desk.page(wait_of(asked(desk)))


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
    assert looks.expected(Expected(runs, usual, longest, slow)) == words
