"""Who goes on with other things is told when what was asked for has ended."""

from __future__ import annotations

import re
import threading
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import Refused
from earmark.domain.outcome import Failed
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import wake
from earmark.engine.end import End
from earmark.engine.perform import perform
from earmark.store import locks, notifications, schema, tasks
from earmark.store.database import Transaction
from earmark.store.notifications import LISTED
from tests.engine.world import Make, MakeAll

from .deciding import Desk


def asked(desk: Desk, what: str = "bell") -> Task:
    return desk.stage.ask(Make(provider="p-1", what=what))


def in_background(desk: Desk, task: Task, next: str = "task") -> str:
    return desk.send(f"/tasks/{task.id}/background", next=next)


def news(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.json("/notifications")
    return found


def counted(desk: Desk) -> int:
    """What the head of any page says."""
    head = desk.page("/workers")
    found = re.search(r'id="nav-news".*?class="count">(\d+)', head)
    return int(found[1]) if found else 0


def one(desk: Desk, *, bad: bool = False) -> str:
    """The notification of a task that has ended."""
    if bad:
        desk.stage.world.on_poll = _break
    task = asked(desk, "bad" if bad else "good")
    in_background(desk, task)
    desk.stage.work()
    desk.stage.world.on_poll = None
    return next(str(it["id"]) for it in news(desk) if it["task_id"] == task.id)


def _break(job: str) -> Any:
    return Failed("It broke.\nIn many pieces.")


def test_the_end_is_told_and_not_before(desk: Desk) -> None:
    task = asked(desk)
    page = desk.page(f"/tasks/{task.id}/wait")
    assert f'action="/tasks/{task.id}/background"' in page
    leads = in_background(desk, task)
    assert leads == f"/tasks/{task.id}?background={task.id}"
    assert "You are told when it ends." in desk.page(leads)
    assert (news(desk), counted(desk)) == ([], 0)
    assert "Nothing to tell" in desk.page("/notifications")
    desk.stage.work()
    (told,) = news(desk)
    assert (told["title"], told["outcome"]) == ("Make bell", "ok")
    assert counted(desk) == 1
    page = desk.page("/notifications")
    assert "Make bell" in page
    assert ">Done</span>" in page


def test_it_leads_to_where_the_wait_would_have(desk: Desk) -> None:
    one(desk)
    (told,) = news(desk)
    answer = desk.client.get(f"/notifications/{told['id']}")
    assert answer.headers["location"] == f"/tasks/{told['task_id']}/wait?next=task"
    assert (news(desk), counted(desk)) == ([], 0), "with that it is read"
    again = desk.client.get(f"/notifications/{told['id']}")
    assert again.headers["location"] == answer.headers["location"]


def test_asked_twice_it_is_one(desk: Desk) -> None:
    task = asked(desk)
    for _ in range(3):
        in_background(desk, task)
    desk.stage.work()
    assert len(news(desk)) == 1
    in_background(desk, task)
    assert len(news(desk)) == 1


def test_what_has_ended_already_is_told_at_once(desk: Desk) -> None:
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    in_background(desk, task)
    assert [it["task_id"] for it in news(desk)] == [task.id]


def test_all_that_was_shown_is_read_together(desk: Desk) -> None:
    """And no other: what came since was not seen yet. A failure stays."""
    one(desk)
    failure, newest = one(desk, bad=True), one(desk)
    page = desk.page("/notifications")
    assert f'name="newest" value="{newest}">Mark all as read' in page
    since = one(desk)
    desk.send("/notifications/read", newest=newest)
    assert [it["id"] for it in news(desk)] == [since, failure]
    assert counted(desk) == 2
    desk.send("/notifications/read", newest="none")
    assert counted(desk) == 2
    desk.send("/notifications/dismiss-read")
    assert [it["id"] for it in news(desk)] == [since]


def test_a_failure_counts_until_it_is_dismissed(desk: Desk) -> None:
    failure = one(desk, bad=True)
    page = desk.page("/notifications")
    assert ">It broke.</span>" in page, "its first line, and no more"
    desk.send(f"/notifications/{failure}/read")
    assert counted(desk) == 1
    desk.send(f"/notifications/{failure}/dismiss")
    assert (news(desk), counted(desk)) == ([], 0)


def test_more_than_are_listed_are_not_counted_out(desk: Desk) -> None:
    tasks = [asked(desk, str(number)) for number in range(LISTED + 1)]

    def all_ended(tx: Transaction) -> None:
        row: dict[str, Any] = {"owner": LOCAL_OWNER, "next": "task"}
        row |= {"created_at": tx.now, "ended_at": tx.now}
        rows = [row | {"id": task.id, "task_id": task.id} for task in tasks]
        tx.execute(sa.insert(schema.notifications), rows)

    desk.stage.engine.write(all_ended)
    assert 'class="count">100+<' in desk.page("/workers")


def test_a_program_dismisses_too(desk: Desk) -> None:
    told = one(desk)
    for _ in range(2):
        answer = desk.client.post(f"/api/v1/notifications/{told}/dismiss")
        assert answer.status_code == 204
    assert news(desk) == []


def test_nobody_marks_what_is_not_theirs(desk: Desk) -> None:
    told = one(desk)
    table = schema.notifications
    given = sa.update(table).values(owner="somebody")
    desk.stage.engine.write(lambda tx: tx.execute(given))
    assert (news(desk), counted(desk)) == ([], 0)
    assert "There is no notification" in desk.send(f"/notifications/{told}/read", 404)
    desk.problem(f"/notifications/{told}/dismiss", 404)


def test_an_unknown_continuation_is_refused_before_anything_is_kept(desk: Desk) -> None:
    task = asked(desk)
    page = desk.send(f"/tasks/{task.id}/background", 404, next="https://example.org")
    assert "No wait goes on" in page
    desk.stage.work()
    assert news(desk) == []


def test_what_is_dropped_among_many_is_told_as_well(desk: Desk) -> None:
    stage = desk.stage
    stage.world.on_send = _refuse
    names = tuple(f"part{number}" for number in range(30))
    root = stage.ask(MakeAll(provider="p-1", whats=names))
    (claimed,) = stage.claim()
    perform(stage.engine, claimed)
    last = stage.tasks()[-1]
    in_background(desk, last)
    stage.work()
    assert stage.task(root).outcome == "failed"
    assert [it["task_id"] for it in news(desk)] == [last.id]


def _refuse(what: str, ctx: Any) -> str:
    raise Refused("Not today.")


def test_an_end_that_is_just_being_written_is_not_missed(desk: Desk) -> None:
    engine, task = desk.stage.engine, asked(desk)

    def subscribe() -> None:
        engine.write(
            lambda tx: notifications.subscribe(tx, task.id, LOCAL_OWNER, "task")
        )

    other = threading.Thread(target=subscribe)

    def end(tx: Transaction) -> None:
        wake.end(tx, locks.lock_family(tx, tasks.get(tx, task.id)), End.cancelled("no"))
        other.start()
        # It waits for this commit: only when it does not, it comes back in time.
        other.join(0.5)

    engine.write(end)
    other.join()
    assert [it["task_id"] for it in news(desk)] == [task.id]


def test_it_goes_with_its_task(desk: Desk) -> None:
    one(desk)
    (told,) = news(desk)

    def prune(tx: Transaction) -> None:
        for table in (schema.task_log, schema.evidence, schema.sends):
            tx.execute(sa.delete(table))
        tx.execute(sa.delete(schema.placeholders))
        here = schema.tasks.c.id == told["task_id"]
        tx.execute(sa.delete(schema.tasks).where(here))

    desk.stage.engine.write(prune)
    assert (news(desk), counted(desk)) == ([], 0)
