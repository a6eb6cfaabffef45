"""Pages of things: all that was done to them, and who works where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from typing import Any

import sqlalchemy as sa

from earmark.domain.authoring import Results, Tx
from earmark.domain.command import Child, Command, Composite
from earmark.domain.inventory import PowerState
from earmark.domain.refs import VmRef
from earmark.store import inventory, journal, schema
from tests.engine.world import Make

from .deciding import Desk, main_of


class Look(Composite[str]):
    """A part of tending that is about the same VM."""

    title = "Look at {vm}"
    vm: VmRef

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {"it": Make(provider="p-1", what="lens")}

    def finish(self, tx: Tx, results: Results) -> str:
        return "seen"


class Tend(Look):
    """Something done to one VM, in parts."""

    title = "Tend {vm}"

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {"it": Look(vm=self.vm)}


class TendMany(Composite[str]):
    """The same for many VMs: each has its turn."""

    title = "Tend {vms}"
    vms: tuple[VmRef, ...]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {it: Tend(vm=it) for it in self.vms}

    def finish(self, tx: Tx, results: Results) -> str:
        return "tended"


def vm(desk: Desk, name: str) -> str:
    def work(tx: Any) -> str:
        row: dict[str, Any] = {"provider_id": "p-1", "external_id": name, "name": name}
        row |= {"power_state": PowerState.ON, "command_at": None, "observed_at": tx.now}
        return str(inventory.insert_vm(tx, row))

    return desk.stage.engine.write(work)


def titles(part: str) -> list[str]:
    """What is listed there, without the recent tasks at the foot of every page."""
    listed = part.partition('<aside class="recent"')[0]
    return [
        unescape(it) for it in re.findall(r'class="title"><a [^>]*>(.*?)</a>', listed)
    ]


def test_all_that_was_done_to_a_vm_is_there_but_not_the_parts_of_it(desk: Desk) -> None:
    for kind in (Look, Tend, TendMany):
        desk.stage.engine.commands.register(kind)
    web01, web02 = vm(desk, "web01"), vm(desk, "web02")
    desk.stage.run(Tend(vm=web01))
    desk.stage.run(TendMany(vms=(web01, web02)))
    page = desk.page(f"/vms/{web01}")
    listed = ["Tend web01", "Tend web01"]
    assert titles(page.partition('id="done-here"')[2]) == listed
    more = re.search(r'href="(/tasks\?object=[^"]+)">All of them', page)
    assert more is not None
    assert titles(desk.page(unescape(more[1]))) == listed
    assert titles(desk.page(f"/tasks?object=vm:{web02}")) == ["Tend web02"]
    assert "Tend web02" not in titles(desk.page("/tasks")), "it is a part there"


def test_a_vm_that_is_gone_still_tells_what_was_done_to_it(desk: Desk) -> None:
    for kind in (Look, Tend):
        desk.stage.engine.commands.register(kind)
    web01 = vm(desk, "web01")
    task = desk.stage.run(Tend(vm=web01))

    def remove(tx: Any) -> None:
        tx.execute(sa.update(schema.vms).values(gone_at=tx.now))

    desk.stage.engine.write(remove)
    assert f'href="/vms/{web01}"' in desk.page(f"/tasks/{task.id}")
    page = desk.page(f"/vms/{web01}")
    assert "This VM is gone" in page
    assert titles(page.partition('id="done-here"')[2]) == ["Tend web01"]
    assert "/actions/stop" not in page
    assert "web01" not in main_of(desk.page("/vms"))
    assert "is gone" in desk.page(f"/vms/{web01}/console", 404)


def test_a_worker_that_is_not_heard_any_more_is_none(desk: Desk) -> None:
    web01 = vm(desk, "web01")

    desk.stage.hire("w-9", [])
    assert "No live worker in zone" not in desk.page(f"/vms/{web01}")

    def silent(tx: Any) -> None:
        seen = tx.now - timedelta(minutes=5)
        tx.execute(sa.update(schema.workers).values(seen_at=seen))

    desk.stage.engine.write(silent)
    assert "No live worker in zone" in desk.page(f"/vms/{web01}")


def test_vms_are_found_by_the_name_of_their_provider(desk: Desk) -> None:
    vm(desk, "web01")
    shown = desk.page("/providers/p-1")
    found = re.search(r'href="(/vms\?q=[^"]+)"', shown)
    assert found is not None
    assert "web01" in desk.page(unescape(found[1]))
    assert "web01" not in desk.page("/vms?q=elsewhere")


def test_a_zone_says_what_is_queued_for_whom(desk: Desk) -> None:
    desk.stage.ask(Make(provider="p-1", what="bell"))
    page = desk.page("/workers")
    assert re.search(r"1 queued, the oldest", page)
    link = re.search(r'href="(/tasks\?state=queued[^"]+)">1 queued', page)
    assert link is not None
    assert titles(desk.page(unescape(link[1]))) == ["Make bell"]


def test_a_log_is_opened_at_its_first_error(desk: Desk) -> None:
    failed, fine = desk.failed(), desk.stage.run(Make(provider="p-1", what="ball"))

    def long(tx: Any) -> None:
        for number in range(1100):
            journal.log(tx, fine.id, f"line {number}")
        journal.log(tx, fine.id, "It broke.", "error")
        journal.log(tx, fine.id, "It broke again.", "error")

    assert f'href="/tasks/{failed.id}/log/error"' in desk.page(f"/tasks/{failed.id}")
    assert "/log/error" not in desk.page(f"/tasks/{fine.id}")
    assert desk.client.get(f"/tasks/{fine.id}/log/error").headers["location"] == (
        f"/tasks/{fine.id}/log"
    )
    desk.stage.engine.write(long)
    answer = desk.client.get(f"/tasks/{fine.id}/log/error")
    path, _, line = answer.headers["location"].partition("#")
    shown = desk.page(path)
    assert re.search(rf'<li id="{line}" class="error">.*?It broke\.', shown, re.S)
    assert "line 1099" in shown, "with some of what led there"
    assert desk.client.get("/tasks/none/log/error").status_code == 404
