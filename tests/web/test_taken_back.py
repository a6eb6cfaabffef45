"""A task whose work is being taken back: what its page offers, and what it does not."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest

from earmark.domain.errors import NotSent
from earmark.domain.outcome import Running
from earmark.domain.task import Task
from earmark.store import tasks
from tests.engine import test_undo as undoing

from .deciding import Desk, main_of
from .test_many import fates, question

ERROR = {
    "code": "quota",
    "message": "no room",
    "undone": ["Unmake a"],
    "not_done": ["Make b", "Make c", "Make d", "Make e"],
}


@pytest.fixture
def root(desk: Desk) -> Task:
    """A root whose one step is being taken back, which does not end by itself."""
    stage = desk.stage
    for command in undoing.ALL:
        stage.engine.commands.register(command)

    def poll(job: str) -> Any:
        return Running(1) if stage.world.sent[-1] == "-a" else stage.world.jobs[job]

    stage.world.on_send, stage.world.on_poll = undoing._bad_is_refused, poll
    asked = stage.ask(undoing.tower("a>bad"))
    stage.work()
    found = stage.task(asked)
    assert found.state == "undoing"
    return found


def test_what_is_taken_back_offers_no_cancel(desk: Desk, root: Task) -> None:
    page = desk.page(f"/tasks/{root.id}")
    assert "ask-cancel" not in page
    assert desk.json(f"/tasks/{root.id}")["offer"] is None
    asked = unescape(main_of(desk.page(f"/tasks/{root.id}/cancel")))
    assert f"“{root.title}” cannot be cancelled" in asked
    assert "is being taken back already" in asked
    assert "<button" not in asked
    assert fates(question(desk, "cancel", root)) == [
        (1, "What it did is being taken back already, and that is not cancelled.")
    ]


def test_all_that_was_taken_back_and_not_done_is_listed(desk: Desk, root: Task) -> None:
    stage = desk.stage
    stage.world.on_poll = None
    stage.work()
    stage.engine.write(lambda tx: tasks.change(tx, stage.task(root), error=ERROR))
    shown = unescape(main_of(desk.page(f"/tasks/{root.id}")))
    assert "<p>Taken back by: Unmake a</p>" in shown
    assert "<p>Not done: Make b; Make c; Make d; Make e</p>" in shown
    assert stage.task(root).attempt > 1
    assert "Tried" not in shown, "it was claimed for its undo, and not tried again"


def test_what_could_not_be_done_leads_back_to_its_task(desk: Desk, root: Task) -> None:
    back = f'href="/tasks/{root.id}">Back to the task</a>'
    for verb in ("cancel", "retry", "resolve"):
        assert back in desk.send(f"/tasks/{root.id}/{verb}", 409, decision="watch")
    assert back in desk.page(f"/tasks/{root.id}/resolve?decision=watch", 404)
    assert "Back to the task" not in desk.send("/tasks/none/cancel", 404)
    assert "Back to the task" not in desk.page("/tasks/none", 404)


def test_a_step_that_waits_for_its_provider_can_be_left_behind(desk: Desk) -> None:
    stage = desk.stage

    def send(what: str, ctx: Any) -> str:
        if what == "-a":
            raise NotSent("nobody there")
        return undoing._bad_is_refused(what, ctx)

    for command in undoing.ALL:
        stage.engine.commands.register(command)
    stage.world.on_send = send
    root = stage.ask(undoing.tower("a>bad"))
    stage.work()
    (step,) = [task for task in stage.tasks() if task.undoes_id]
    path = f"/tasks/{step.id}"
    page = unescape(main_of(desk.page(path)))
    assert "You need not wait." in page
    assert "This needs you." not in page
    assert [it["decision"] for it in desk.json(path)["choices"]] == ["leave-behind"]
    assert "Leave it behind" in desk.page(f"{path}/resolve?decision=leave-behind")
    desk.send(f"{path}/resolve", decision="leave-behind")
    assert stage.task(step).outcome == "interrupted"
    stage.work()
    assert stage.task(root).outcome == "failed"
