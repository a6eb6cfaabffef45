"""Cancel, retry and resolve on the pages, and what shows that somebody is needed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.inventory import PowerState
from earmark.domain.outcome import Done
from earmark.engine import cancel, resolve
from earmark.store import inventory, journal, placeholders, schema
from tests.engine.world import Make, MakeAll

from .deciding import Desk


def shown_task(address: str) -> str:
    return address.removeprefix("/tasks/")


def test_a_held_task_says_all_that_is_known_and_what_can_be_decided(desk: Desk) -> None:
    task = desk.held()
    page = unescape(desk.page(f"/tasks/{task.id}"))
    effect = desk.stage.effects()[0]
    seen = desk.stage.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    assert {"sending", "doubt", "held"} <= {it.kind for it in seen}
    for piece in seen:
        assert piece.text in page
    assert "Next: a person decides. Until then nothing is sent." in page
    found = desk.stage.engine.read(lambda tx: placeholders.get(tx, effect.id))
    choices = resolve.choices(task, found)
    assert len(choices) == 4
    for choice in choices:
        assert choice.label in page
        assert choice.text in page


def test_the_id_that_an_answer_named_is_filled_in(desk: Desk) -> None:
    task = desk.held()
    effect = desk.stage.effects()[0]
    desk.stage.engine.write(
        lambda tx: placeholders.witness(
            tx, effect.id, "late", "A late answer named it.", external_id="bell-7"
        )
    )
    assert 'name="external_id" value="bell-7"' in desk.page(f"/tasks/{task.id}")


def test_an_adopted_id_is_followed_to_its_end(desk: Desk) -> None:
    task = desk.held()
    desk.stage.world.jobs["bell-7"] = Done("bell!")
    path = f"/tasks/{task.id}"
    form = desk.send(f"{path}/resolve", decision="adopt", external_id=" bell-7 ")
    assert form == path
    assert "say what is true there" not in desk.page(path)
    desk.stage.work()
    assert desk.stage.task(task).outcome == "ok"
    assert desk.stage.world.sent == ["bell"], "nothing was sent for it again"


@pytest.mark.parametrize("decision", ["send-again", "watch"])
def test_what_can_do_harm_is_asked_about_first(desk: Desk, decision: str) -> None:
    task = desk.held()
    page = desk.page(f"/tasks/{task.id}")
    address = f"/tasks/{task.id}/resolve?decision={decision}"
    assert f'href="{address}" data-dialog="ask-{decision}"' in page
    assert f'<dialog id="ask-{decision}"' in page
    alone = desk.page(address)
    for text in (page, alone):
        assert f'name="decision" value="{decision}"' in text
    desk.send(f"/tasks/{task.id}/resolve", decision=decision)
    assert desk.stage.task(task).state != "held"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"decision": "guess"}, "There are: adopt, absent, send-again, watch"),
        ({}, "There is no decision"),
        ({"decision": "adopt"}, "which id"),
        ({"decision": "adopt", "external_id": "   "}, "which id"),
        ({"decision": "absent", "external_id": "bell-7"}, "adopt alone"),
    ],
)
def test_a_decision_that_cannot_be_changes_nothing(
    desk: Desk, form: dict[str, str], words: str
) -> None:
    task = desk.held()
    assert words in unescape(desk.send(f"/tasks/{task.id}/resolve", 400, **form))
    assert desk.stage.task(task) == task


def test_a_form_says_one_thing(desk: Desk) -> None:
    task = desk.held()
    answer = desk.client.post(
        f"/tasks/{task.id}/resolve", data={"decision": ["absent", "watch"]}
    )
    assert answer.status_code == 400
    assert desk.stage.task(task) == task


def test_of_two_people_who_decide_at_once_one_is_told_that_it_is_too_late(
    desk: Desk,
) -> None:
    task = desk.held()

    def decide(_: int) -> int:
        sent = {"decision": "watch"}
        answer = desk.client.post(f"/tasks/{task.id}/resolve", data=sent)
        return int(answer.status_code)

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(decide, range(2))) == [303, 409]


def test_a_task_that_is_not_held_is_not_decided_about(desk: Desk) -> None:
    task = desk.failed()
    path = f"/tasks/{task.id}/resolve"
    assert "is not held" in desk.send(path, 409, decision="watch")
    assert "nothing to decide" in desk.page(f"{path}?decision=watch", 404)
    assert "This needs you" not in desk.page(f"/tasks/{task.id}")


def test_a_root_leads_to_the_part_of_it_that_is_held(desk: Desk) -> None:
    root, (part,) = desk.parts_held("bell")
    assert f'href="/tasks/{part.id}#evidence"' in desk.page(f"/tasks/{root.id}")
    desk.send(f"/tasks/{root.id}/resolve", decision="watch")
    assert desk.stage.task(part).state == "done"


def test_the_dialog_says_what_a_cancel_means_now(desk: Desk) -> None:
    stage = desk.stage
    task = stage.ask(Make(provider="p-1", what="bell"))

    def meaning() -> str:
        page = desk.page(f"/tasks/{task.id}/cancel")
        found = re.search(r'<p id="meaning-cancel">(.*)</p>', page)
        assert found is not None
        offered = stage.engine.read(lambda tx: cancel.offer(tx, stage.task(task)))
        assert offered is None or offered.text == unescape(found[1])
        said = found[0] in desk.page(f"/tasks/{task.id}")
        assert said is (offered is not None), (
            "the dialog says the same, if there is one"
        )
        return unescape(found[1])

    queued = meaning()
    stage.world.on_poll = lambda job: pytest.fail("nobody asks yet")
    stage.claim()
    running = meaning()
    assert running != queued
    desk.send(f"/tasks/{task.id}/cancel")
    assert meaning() not in (queued, running)
    assert "Asked to cancel by" in desk.page(f"/tasks/{task.id}")


def test_what_was_never_sent_is_cancelled_at_once(desk: Desk) -> None:
    task = desk.stage.ask(Make(provider="p-1", what="bell"))
    assert desk.send(f"/tasks/{task.id}/cancel") == f"/tasks/{task.id}"
    assert desk.stage.task(task).outcome == "cancelled"
    assert desk.stage.world.sent == []
    page = desk.page(f"/tasks/{task.id}")
    assert (
        "data-dialog" not in page.partition('id="task-panel')[2].partition("</sec")[0]
    )
    assert "has ended already" in unescape(desk.send(f"/tasks/{task.id}/cancel", 409))
    assert "It has ended already." in desk.page(f"/tasks/{task.id}/cancel")


def test_a_part_is_not_cancelled_by_itself(desk: Desk) -> None:
    root, (part,) = desk.parts_held("bell")
    assert root.id in desk.send(f"/tasks/{part.id}/cancel", 400)
    assert f'action="/tasks/{part.id}/cancel"' in desk.page(f"/tasks/{part.id}/cancel")
    assert 'class="primary"' not in desk.page(f"/tasks/{part.id}/cancel")


def test_a_retry_is_a_new_task_linked_both_ways(desk: Desk) -> None:
    old = desk.failed()
    assert f'formaction="/tasks/{old.id}/retry"' in desk.page(f"/tasks/{old.id}")
    new = shown_task(desk.send(f"/tasks/{old.id}/retry"))
    assert new != old.id
    assert f'href="/tasks/{old.id}"' in desk.page(f"/tasks/{new}")
    assert f'href="/tasks/{new}"' in desk.page(f"/tasks/{old.id}")
    assert shown_task(desk.send(f"/tasks/{old.id}/retry")) == new, "one is enough"
    desk.stage.work()
    assert desk.json(f"/tasks/{new}")["outcome"] == "ok"
    assert desk.stage.task(old).outcome == "failed"


def test_a_key_stands_for_the_retry_that_it_was_answered_with(desk: Desk) -> None:
    """Rule 20: also when another had asked for that, and it has ended since."""
    old = desk.failed()
    path = f"/tasks/{old.id}/retry"
    new = desk.asks(path, **{"Idempotency-Key": "ann's"})["id"]
    assert desk.asks(path, **{"Idempotency-Key": "bob's"})["id"] == new
    cancel.cancel(desk.stage.engine, new, "local")
    assert desk.asks(path, **{"Idempotency-Key": "bob's"})["id"] == new
    assert desk.asks(path, **{"Idempotency-Key": "another"})["id"] != new


def test_what_went_well_is_not_retried(desk: Desk) -> None:
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    assert "/retry" not in desk.page(f"/tasks/{task.id}")
    assert "ended well" in desk.send(f"/tasks/{task.id}/retry", 409)


@pytest.mark.parametrize("verb", ["cancel", "retry", "resolve"])
def test_nothing_is_asked_of_a_task_that_is_not_there(desk: Desk, verb: str) -> None:
    assert "There is no task" in unescape(
        desk.send(f"/tasks/none/{verb}", 404, decision="watch")
    )
    foreign = {"Sec-Fetch-Site": "cross-site"}
    answer = desk.client.post(f"/tasks/none/{verb}", data={}, headers=foreign)
    assert answer.status_code == 403


def test_every_page_counts_what_needs_a_person(desk: Desk) -> None:
    hidden = '<a id="nav-needs" class="needs" href="/tasks?needs=me" hidden>'
    assert hidden in desk.page("/vms")
    assert "Nothing needs you" in desk.page("/tasks?needs=me")
    held, fine = desk.held(), desk.stage.run(Make(provider="p-1", what="bell"))
    root, _ = desk.parts_held("one", "two")
    for path in ("/vms", "/workers", f"/tasks/{fine.id}", "/nowhere"):
        page = desk.client.get(path).text
        assert hidden not in page
        found = re.search(r'id="nav-needs".*</svg><span>(\d+)<', page)
        assert found is not None
        assert found[1] == "2", "tasks are counted, not their parts"
    listed = desk.page("/tasks?needs=me")
    assert f'id="task-{held.id}"' in listed
    assert f'id="task-{root.id}"' in listed
    assert f'id="task-{fine.id}"' not in listed
    assert "needs=me" in desk.page("/tasks?needs=you", 400)


def test_a_log_is_searched_and_taken_away_whole(desk: Desk) -> None:
    task = desk.stage.run(Make(provider="p-1", what="bell"))
    own = [line["text"] for line in desk.json(f"/tasks/{task.id}/log")]

    def more(tx: Any) -> None:
        for number in range(1100):
            text = f"Copied <{number}> of 100 %"
            journal.log(tx, task.id, text)

    desk.stage.engine.write(more)
    page = desk.page(f"/tasks/{task.id}/log?q=COPIED+<77>")
    assert page.count('<li id="line-') == 1
    assert "Copied &lt;77&gt; of 100 %" in page
    assert "No line has these words" in desk.page(f"/tasks/{task.id}/log?q=%25d")
    first = desk.page(f"/tasks/{task.id}/log?q=copied")
    assert first.count('<li id="line-') == 1000
    following = re.search(r'href="([^"]+)" rel="next"', first)
    assert following is not None
    assert desk.page(unescape(following[1])).count('<li id="line-') == 100
    desk.page(f"/tasks/{task.id}/log?after=x", 400)

    answer = desk.client.get(f"/tasks/{task.id}/log.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment")
    lines = answer.text.splitlines()
    assert len(lines) == len(own) + 1100
    assert lines[0].endswith(own[0])
    assert desk.client.get("/tasks/none/log.txt").status_code == 404


def test_a_vm_names_its_holder_and_who_waits_in_order(desk: Desk) -> None:
    tasks = [
        desk.stage.ask(MakeAll(provider="p-1", whats=(what,)))
        for what in ("first", "second", "third")
    ]

    def work(tx: Any) -> str:
        vm_id = inventory.insert_vm(
            tx,
            {
                "provider_id": "p-1",
                "external_id": "v-1",
                "name": "web01",
                "power_state": PowerState.ON,
                "observed_at": tx.now,
                "command_at": None,
            },
        )
        for table, some in (
            (schema.locks, tasks[:1]),
            (schema.lock_queue, tasks[:0:-1]),
        ):
            for task in some:
                tx.execute(
                    sa.insert(table).values(
                        kind="vm",
                        name=vm_id,
                        root_id=task.id,
                        mode="exclusive",
                        since=tx.now,
                    )
                )
        return str(vm_id)

    vm_id = desk.stage.engine.write(work)
    page = desk.page(f"/vms/{vm_id}")
    locks = page.partition('id="vm-locks')[2].partition("</section>")[0]
    assert re.findall(r'(held|wanted) by <a href="/tasks/([^"]+)"', locks) == [
        ("held", tasks[0].id),
        ("wanted", tasks[1].id),
        ("wanted", tasks[2].id),
    ]
