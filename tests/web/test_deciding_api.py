"""Cancel, retry and resolve over REST."""

from __future__ import annotations

from typing import Any

import pytest

from earmark.domain.outcome import Done
from tests.engine.world import Make

from .deciding import Desk


def test_a_task_says_what_can_be_asked_of_it(desk: Desk) -> None:
    queued = desk.stage.ask(Make(provider="p-1", what="bell"))
    shown = desk.json(f"/tasks/{queued.id}")
    assert shown["offer"]["kind"] == "nothing-sent"
    assert (shown["choices"], shown["evidence"]) == ([], [])
    assert shown["waiting_for"]["who"] in ("engine", "person")
    assert "next_check" in shown["waiting_for"]
    held = desk.json(f"/tasks/{desk.held().id}")
    assert held["waiting_for"]["kind"] == "person"
    assert held["waiting_for"]["who"] == "person"
    assert [it["decision"] for it in held["choices"]] == [
        "adopt",
        "absent",
        "send-again",
        "watch",
    ]
    assert held["evidence"][-1]["kind"] == "held"


def test_cancelling_is_asked_once_and_ends_once(desk: Desk) -> None:
    task = desk.stage.ask(Make(provider="p-1", what="bell"))
    ended = desk.asks(f"/tasks/{task.id}/cancel")
    assert (ended["state"], ended["outcome"]) == ("done", "cancelled")
    assert ended["cancelled_by"] == "local"
    assert ended["offer"] is None
    told = desk.problem(f"/tasks/{task.id}/cancel", 409)
    assert told["type"] == "urn:earmark:error:ended"
    assert desk.problem("/tasks/none/cancel", 404)


def test_a_retry_is_found_at_its_own_address(desk: Desk) -> None:
    old = desk.failed()
    key = {"Idempotency-Key": "once"}
    new = desk.asks(f"/tasks/{old.id}/retry", **key)
    assert new["retry_of"] == old.id
    assert desk.asks(f"/tasks/{old.id}/retry", **key)["id"] == new["id"]
    assert desk.json(f"/tasks/{old.id}")["retried_by"] == new["id"]
    told = desk.problem(f"/tasks/{new['id']}/retry", 409)
    assert "not ended" in told["detail"]


def test_a_decision_is_carried_out(desk: Desk) -> None:
    task = desk.held()
    desk.stage.world.jobs["bell-7"] = Done("bell!")
    body = {"decision": "adopt", "external_id": "bell-7"}
    assert desk.asks(f"/tasks/{task.id}/resolve", body)["state"] == "waiting"
    desk.stage.work()
    assert desk.json(f"/tasks/{task.id}")["outcome"] == "ok"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"decision": "guess"}, 422, "#/decision"),
        ({}, 422, "#/decision"),
        ({"decision": ["absent", "watch"]}, 422, "#/decision"),
        ({"decision": "watch", "absent": True}, 422, "#/absent"),
        ({"decision": "adopt"}, 400, "#/external_id"),
        ({"decision": "absent", "external_id": "x"}, 400, "#/external_id"),
    ],
)
def test_a_decision_that_cannot_be_is_told_field_by_field(
    desk: Desk, body: Any, status: int, pointer: str
) -> None:
    task = desk.held()
    told = desk.problem(f"/tasks/{task.id}/resolve", status, body)
    assert [it["pointer"] for it in told["errors"]] == [pointer]
    assert desk.stage.task(task) == task


def test_what_is_not_held_is_not_decided_about(desk: Desk) -> None:
    task = desk.failed()
    told = desk.problem(f"/tasks/{task.id}/resolve", 409, {"decision": "watch"})
    assert told["type"] == "urn:earmark:error:not-held"


def test_a_root_stands_for_its_one_held_part(desk: Desk) -> None:
    root, parts = desk.parts_held("one", "two")
    told = desk.problem(f"/tasks/{root.id}/resolve", 400, {"decision": "watch"})
    assert all(part.id in told["hint"] for part in parts)
    desk.asks(f"/tasks/{parts[0].id}/resolve", {"decision": "watch"})
    assert desk.asks(f"/tasks/{root.id}/resolve", {"decision": "watch"})["id"] == (
        parts[1].id
    )


def test_lists_and_logs_are_narrowed(desk: Desk) -> None:
    held = desk.held()
    desk.failed()
    found = desk.json("/tasks?needs_person=true")
    assert [task["id"] for task in found] == [held.id]
    assert "offer" not in found[0], "what can be asked is read for one task at a time"
    whole = desk.json(f"/tasks/{held.id}/log")
    some = desk.json(f"/tasks/{held.id}/log?q=HELD")
    assert some
    assert some == [line for line in whole if "held" in line["text"].lower()]
