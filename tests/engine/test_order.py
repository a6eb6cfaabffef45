"""What transactions cost each other: the order in which they lock rows (rule 10), and
how much they do. Whoever changes an effect and its task has the task's family first:
else a cancel, which goes from the root down, and this one would wait for each other."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from earmark.domain.errors import JobUnknown, NotSent
from earmark.domain.outcome import Progress, Running
from earmark.engine.cancel import cancel
from earmark.engine.perform import perform
from tests.engine.races import MakeStoppably
from tests.engine.world import Make, MakeAll, Stage

_TASKS = re.compile(r"UPDATE earmark_tasks|FROM earmark_tasks\b.*UPDATE", re.DOTALL)
_EFFECTS = re.compile(r"UPDATE earmark_placeholders")


@contextmanager
def transactions(stage: Stage) -> Iterator[list[list[str]]]:
    """The statements of every transaction that is begun meanwhile."""
    engine = stage.engine.database.engine
    begun: list[list[str]] = []

    def begin(connection: object) -> None:
        begun.append([])

    def execute(*arguments: object) -> None:
        if begun:
            begun[-1].append(str(arguments[2]))

    sa.event.listen(engine, "begin", begin)
    sa.event.listen(engine, "before_cursor_execute", execute)
    try:
        yield begun
    finally:
        sa.event.remove(engine, "begin", begin)
        sa.event.remove(engine, "before_cursor_execute", execute)


def first(statements: list[str], words: re.Pattern[str]) -> int | None:
    """Where the first of these statements is."""
    return next((i for i, said in enumerate(statements) if words.search(said)), None)


def both(begun: list[list[str]]) -> list[tuple[int, int]]:
    """Of transactions that lock both: where the tasks come, and where the effects."""
    places = [(first(one, _TASKS), first(one, _EFFECTS)) for one in begun]
    return [(t, e) for t, e in places if t is not None and e is not None]


@pytest.fixture
def bound(stage: Stage) -> Stage:
    """A job that can be stopped is under way."""
    if stage.engine.database.file is not None:
        pytest.skip("SQLite has one lock for all")
    stage.engine.commands.register(MakeStoppably)
    stage.ask(MakeStoppably(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    return stage


def test_while_the_provider_cannot_be_asked(bound: Stage) -> None:
    def unreachable(job: str) -> Progress:
        raise NotSent("no route")

    bound.world.on_poll = unreachable
    bound.hurry()
    with transactions(bound) as begun:
        bound.check()
    assert both(begun)
    assert all(task < effect for task, effect in both(begun))


def test_while_it_is_asked_to_stop(bound: Stage) -> None:
    bound.world.on_poll = lambda job: Running(5, "going on")
    (task,) = bound.tasks()
    cancel(bound.engine, task.id, "eve")
    with transactions(bound) as begun:
        bound.check()
    assert bound.world.asked
    assert both(begun)
    assert all(task < effect for task, effect in both(begun))


def test_what_others_are_changing_is_not_waited_for(bound: Stage) -> None:
    """Many at once, in no order, are put off: that waits for nobody."""
    (effect,) = bound.effects()
    with bound.engine.database.engine.connect() as other, other.begin():
        other.exec_driver_sql("SELECT 1 FROM earmark_placeholders FOR UPDATE")
        bound.hurry()
    assert bound.effects() == [effect]


def test_many_that_are_dropped_do_not_add_each_other_up(stage: Stage) -> None:
    """What ends badly leaves its parent's progress alone: adding up the siblings each
    time would take the square of their number, in one transaction."""
    root = stage.ask(MakeAll(provider="p-1", whats=tuple("abcdefgh")))
    for claimed in stage.claim():
        perform(stage.engine, claimed)
    with transactions(stage) as begun:
        ended = cancel(stage.engine, root.id, "eve")
    assert ended.outcome == "cancelled"
    assert not [said for one in begun for said in one if "sum(" in said.lower()]


def test_unknown_and_yet_shown_is_asked_at_its_own_pace(stage: Stage) -> None:
    """Polling does not know the job that the probe finds: they must not chase each
    other as fast as the provider answers, until a person is asked."""
    stage.ask(Make(provider="p-1", what="a"))
    for claimed in stage.claim():
        perform(stage.engine, claimed)

    def unknown(job: str) -> Progress:
        raise JobUnknown("no such job")

    stage.world.on_poll = unknown
    stage.check()
    (effect,) = stage.effects()
    assert effect.state == "bound"
    assert effect.doubt_since is not None
    assert effect.next_check_at > effect.updated_at
