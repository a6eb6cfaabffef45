"""The tables of states: every state is reachable, and leads to an end."""

from typing import Any

import pytest

from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    PLACEHOLDER_MOVES,
    TASK_MOVES,
    PlaceholderState,
    Table,
    TaskState,
    check,
    is_final,
    sources,
)

TABLES = [
    pytest.param(TASK_MOVES, TaskState.QUEUED, id="task"),
    pytest.param(PLACEHOLDER_MOVES, PlaceholderState.PLANNED, id="placeholder"),
]


def reachable(table: Table[Any], start: object) -> set[object]:
    seen, open_ = set(), [start]
    while open_:
        state = open_.pop()
        if state not in seen:
            seen.add(state)
            open_.extend(table[state])
    return seen


@pytest.mark.parametrize(("table", "start"), TABLES)
def test_every_state_is_reachable(table: Table[Any], start: object) -> None:
    # What a later feature leads to (cancelling, undoing) has its place already.
    assert reachable(table, start) == set(table)


@pytest.mark.parametrize(("table", "start"), TABLES)
def test_every_state_leads_to_an_end(table: Table[Any], start: object) -> None:
    for state in table:
        assert any(is_final(table, end) for end in reachable(table, state)), state


def test_a_final_task_is_final() -> None:
    assert [s for s in TaskState if is_final(TASK_MOVES, s)] == [TaskState.DONE]
    with pytest.raises(ValueError, match="no move from done to queued"):
        check(TASK_MOVES, TaskState.DONE, TaskState.QUEUED)


def test_nothing_that_may_exist_is_dropped_without_being_asked_about() -> None:
    dropped = set(sources(PLACEHOLDER_MOVES, PlaceholderState.DROPPED))
    assert dropped & OPEN_AT_PROVIDER == {PlaceholderState.IN_DOUBT}


def test_only_an_intent_or_a_doubt_is_ever_sent() -> None:
    assert set(sources(PLACEHOLDER_MOVES, PlaceholderState.SENDING)) == {
        PlaceholderState.PLANNED,
        PlaceholderState.IN_DOUBT,
    }
