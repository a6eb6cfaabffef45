"""What every open page should show now, read once for all of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from earmark.engine import browse
from earmark.engine.narrow import filter_of
from earmark.engine.pace import Paces
from earmark.store import inventory
from earmark.store.database import Transaction
from earmark.web import fragments
from earmark.web.fragments import Fragment
from earmark.web.listing import tasks_href, vms_more
from earmark.web.live.topics import PageTopic
from earmark.web.live.waits import Waits
from earmark.web.reading import (
    machines,
    notifications,
    orphans,
    providers,
    tasks,
    tenants,
    workers,
)

#: What every page shows, whatever else it is about.
EVERY = PageTopic("every")
Shown = dict[PageTopic, tuple[Fragment, ...]]


class Composer:
    """Renders what pages watch. Equal views are rendered once and kept until the
    next round; the number of statements grows with the kinds of topics and with the
    different lists looked at, not with the browsers."""

    def __init__(self) -> None:
        self._kept: dict[Any, Fragment] = {}
        self._used: dict[Any, Fragment] = {}
        self._paces = Paces()
        self._waits = Waits(self._paces)
        #: When, by the monotonic clock, there is something to look at again although
        #: nothing is heard of a change; see `Waits`.
        self.rests_until = math.inf

    def compose(self, tx: Transaction, topics: Iterable[PageTopic]) -> Shown:
        """Render all the fragments of all the topics."""
        self._used = {}
        by_name: dict[str, list[PageTopic]] = {}
        for topic in topics:
            by_name.setdefault(topic.name, []).append(topic)
        shown: Shown = {
            EVERY: (
                self._press(fragments.nav_tasks, tasks.under_way(tx)),
                self._press(fragments.nav_needs, browse.count_needing(tx)),
                self._press(fragments.nav_orphans, orphans.count(tx)),
                self._press(fragments.nav_news, notifications.count(tx)),
            )
        }
        ways = {
            "vms": self._vms,
            "vm": self._vm,
            "tasks": self._tasks,
            "task": self._task,
            "wait": self._wait,
            "providers": self._providers,
            "provider": self._provider,
            "templates": self._templates,
            "tenants": self._tenants,
            "orphans": self._orphans,
            "workers": self._workers,
            "notifications": self._notifications,
            "recent": self._recent,
        }
        for name, wanted in by_name.items():
            shown |= ways[name](tx, wanted)
        self._kept = self._used
        self.rests_until = self._waits.rests_until if "wait" in by_name else math.inf
        return shown

    def _press(self, make: Callable[..., Fragment], *shown: Any) -> Fragment:
        key = (make, shown)
        found = self._kept.get(key) or self._used.get(key) or make(*shown)
        self._used[key] = found
        return found

    def _vms(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        lists = {}
        for topic in wanted:
            asked = topic.query
            lists[topic] = machines.list_vms(
                tx, asked.get("q", ""), asked.get("after", "")
            )
        rows = {row.id: row for listed in lists.values() for row in listed}
        views = {view.id: view for view in machines.vm_views(tx, list(rows.values()))}
        has_providers = bool(inventory.list_providers(tx))
        shown: Shown = {}
        for topic, listed in lists.items():
            q = topic.query.get("q", "")
            on_page = tuple(views[row.id] for row in listed[: machines.PAGE])
            table = self._table(on_page, q, has_providers, vms_more(listed, q))
            shown[topic] = (table, *(self._press(fragments.vm_row, v) for v in on_page))
        return shown

    def _table(
        self, on_page: tuple[Any, ...], q: str, has_providers: bool, more: str | None
    ) -> Fragment:
        # The table is sent when other VMs are in it; its rows go by themselves.
        ids = tuple(view.id for view in on_page)
        key = (fragments.vms_body, ids, q, has_providers, more)
        found = self._kept.get(key) or fragments.vms_body(
            on_page, q, has_providers, more
        )
        self._used[key] = found
        return found

    def _vm(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        ids = [topic.about for topic in wanted]
        views = machines.vm_views(tx, machines.vms_ever(tx, ids))
        locks, waiting = machines.locks_on_vms(tx, ids), machines.waiting(tx, ids)
        recent = tasks.recent_on(tx, "vm", ids)
        return {
            PageTopic("vm", vm.id): (
                self._press(fragments.vm_panel, vm),
                self._press(
                    fragments.vm_locks,
                    vm,
                    locks.get(vm.id, ()),
                    waiting.get(vm.id, ()),
                ),
                self._press(fragments.vm_tasks, vm, recent.get(vm.id, ())),
            )
            for vm in views
        }

    def _tasks(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        # The rows that a page shows, even those that its filter no longer fits.
        found = tasks.by_ids(tx, {one for topic in wanted for one in topic.rows})
        views = {view.id: view for view in tasks.views(tx, found)}
        shown: Shown = {}
        for topic in wanted:
            query = topic.query
            here = (views[one] for one in topic.rows if one in views)
            rows = [self._press(fragments.task_row, view) for view in here]
            newer = 0
            if "older" not in query:
                newest = topic.rows[0] if topic.rows else ""
                newer = browse.count_since(tx, filter_of(query), newest)
            chip = self._press(fragments.tasks_new, newer, tasks_href(query))
            shown[topic] = (chip, *rows)
        return shown

    def _task(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        shown: Shown = {}
        found = tasks.details(tx, [topic.about for topic in wanted], self._paces)
        for task_id, detail in found.items():
            task = detail.task
            shown[PageTopic("task", task_id)] = (
                self._press(fragments.task_panel, task),
                self._press(fragments.task_placeholders, task, detail.placeholders),
                self._press(fragments.task_tree, task),
                self._press(fragments.task_log, task, detail.log),
            )
        return shown

    def _wait(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        return self._waits.panels(tx, wanted)

    def _providers(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        views = providers.provider_views(tx, inventory.list_providers(tx))
        body = self._press(fragments.providers_body, tuple(views))
        return dict.fromkeys(wanted, (body,))

    def _provider(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        ids = {topic.about for topic in wanted}
        known = [it for it in inventory.list_providers(tx) if it.id in ids]
        recent = tasks.recent_on(tx, "provider", ids)
        return {
            PageTopic("provider", view.id): (
                self._press(fragments.provider_panel, view),
                self._press(fragments.provider_tasks, view, recent.get(view.id, ())),
            )
            for view in providers.provider_views(tx, known)
        }

    def _templates(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        body = self._press(fragments.templates_body, machines.template_views(tx))
        return dict.fromkeys(wanted, (body,))

    def _tenants(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        body = self._press(fragments.tenants_body, tenants.tenant_views(tx))
        return dict.fromkeys(wanted, (body,))

    def _orphans(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        body = self._press(fragments.orphans_body, orphans.ledger(tx))
        return dict.fromkeys(wanted, (body,))

    def _workers(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        zones = self._press(fragments.zones, workers.zone_views(tx))
        return dict.fromkeys(wanted, (zones,))

    def _notifications(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        body = self._press(fragments.notifications_body, notifications.views(tx))
        return dict.fromkeys(wanted, (body,))

    def _recent(self, tx: Transaction, wanted: Sequence[PageTopic]) -> Shown:
        body = self._press(fragments.recent_tasks, tasks.newest(tx))
        return dict.fromkeys(wanted, (body,))
