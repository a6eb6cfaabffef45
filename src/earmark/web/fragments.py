"""The parts of a page that change while somebody looks at it.

A fragment is one element with a stable id. The page includes it when it is rendered;
the stream sends it again, whole, whenever it differs, and the browser morphs the
element of that id in place. A fragment whose element is not on the page is ignored
there, so one message can serve every browser that listens to a topic.

| topic | its fragments |
|---|---|
| every | `nav_tasks`, `nav_needs`, `nav_orphans`, `nav_news` |
| `vms:QUERY` | `vms_body`, `vm_row` |
| `vm:ID` | `vm_panel`, `vm_locks`, `vm_tasks` |
| `tasks:QUERY` | `task_row`, `tasks_new` |
| `task:ID` | `task_panel`, `task_placeholders`, `task_tree`, `branch_row`, `task_log` |
| `wait:ADDRESS` | `wait_panel`, or `wait_gone` |
| `providers` | `providers_body` |
| `provider:ID` | `provider_panel`, `provider_tasks` |
| `templates` | `templates_body` |
| `tenants` | `tenants_body` |
| `workers` | `zones` |
| `orphans` | `orphans_body` |
| `notifications` | `notifications_body` |
| `recent` | `recent_tasks` |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import escape

from earmark.web.orphans import Ledger
from earmark.web.rendering import environment
from earmark.web.views import (
    LockView,
    LogLine,
    Notice,
    NotificationView,
    PlaceholderView,
    ProviderView,
    TaskView,
    TemplateView,
    TenantView,
    VmView,
    ZoneView,
)


@dataclass(frozen=True)
class Fragment:
    """One element of a page: its id and its HTML, rooted in the element itself."""

    id: str
    html: str

    def patch(self) -> str:
        """Wrap it in htmx's words for "morph the element of this id into this"."""
        root = escape(self.id)
        return f'<hx-partial id="{root}" hx-swap="outerMorph">{self.html}</hx-partial>'


def message(fragments: Iterable[Fragment]) -> bytes:
    """Make one unnamed event of a stream, which patches all these fragments at once."""
    text = "\n".join(fragment.patch() for fragment in fragments)
    return "".join(f"data: {line}\n" for line in text.splitlines()).encode() + b"\n"


def signal(name: str, data: str = "") -> bytes:
    r"""Make a named event, which `earmark.js` acts on and no page shows.

    `earmark:beat` proves every fifteen seconds that the stream lives (a browser that
    hears nothing for forty opens it again), `earmark:bye` announces a shutdown.
    """
    return f"event: {name}\ndata: {data}\n\n".encode()


def _fragment(name: str, identity: str, **shown: object) -> Fragment:
    template = environment().get_template(f"partials/{name}.html")
    return Fragment(identity, template.render(**shown).strip())


def nav_tasks(running: int) -> Fragment:
    """Count the tasks under way, beside the link to them."""
    return _fragment("nav_tasks", "nav-tasks", running=running)


def nav_needs(needing: int) -> Fragment:
    """Count the tasks that need a person, and link to them."""
    return _fragment("nav_needs", "nav-needs", needing=needing)


def nav_orphans(orphans: int) -> Fragment:
    """Count what nothing explains, beside the link to it."""
    return _fragment("nav_orphans", "nav-orphans", orphans=orphans)


def nav_news(news: int) -> Fragment:
    """Count the notifications that wait, and link to them."""
    return _fragment("nav_news", "nav-news", news=news)


def notifications_body(notifications: Sequence[NotificationView]) -> Fragment:
    """Show the notifications that are not dismissed, or that there is none."""
    return _fragment("notifications_body", "notifications", notifications=notifications)


def notices(notices: Sequence[Notice]) -> Fragment:
    """Show the messages that wait to be read."""
    return _fragment("notices", "notices", notices=notices)


def task_row(task: TaskView) -> Fragment:
    """Show a task in the list, where it can be chosen."""
    return _fragment("task_row", f"task-{task.id}", task=task, ticks=True)


def tasks_new(count: int, href: str) -> Fragment:
    """Tell of tasks that are newer than the page, without moving its rows."""
    return _fragment("tasks_new", "tasks-new", count=count, href=href)


def recent_tasks(tasks: Sequence[TaskView]) -> Fragment:
    """Show the tasks that were asked for last, at the foot of every page."""
    return _fragment("recent_tasks", "recent-tasks", tasks=tasks)


def task_panel(task: TaskView) -> Fragment:
    """Show where a task stands and what can be asked of it."""
    return _fragment("task_panel", f"task-panel-{task.id}", task=task)


def task_tree(task: TaskView) -> Fragment:
    """Show the descendants of a task."""
    return _fragment("task_tree", f"task-tree-{task.id}", task=task)


def branch_row(task: TaskView) -> Fragment:
    """Show one descendant in the tree."""
    return _fragment("branch_row", f"branch-{task.id}", task=task)


def task_log(task: TaskView, log: Sequence[LogLine]) -> Fragment:
    """Show the last lines of a task's log."""
    return _fragment("task_log", f"task-log-{task.id}", task=task, log=log)


def task_placeholders(
    task: TaskView, placeholders: Sequence[PlaceholderView]
) -> Fragment:
    """Show what a task may have caused at the provider, with the evidence."""
    return _fragment(
        "task_placeholders",
        f"task-placeholders-{task.id}",
        task=task,
        placeholders=placeholders,
    )


def wait_panel(task: TaskView, self_href: str) -> Fragment:
    """Show what a wait waits for; at the end it sends the browser on."""
    return _fragment(
        "wait_panel", f"wait-panel-{task.id}", task=task, self_href=self_href
    )


def wait_gone(task_id: str) -> Fragment:
    """Say that what was waited for is not there any more, in the panel's place."""
    return _fragment("wait_gone", f"wait-panel-{task_id}", task_id=task_id)


def vms_body(
    vms: Sequence[VmView], q: str, has_providers: bool, more_href: str | None
) -> Fragment:
    """Show one page of the list of VMs, or why there is none."""
    return _fragment(
        "vms_body",
        "vms",
        vms=vms,
        q=q,
        has_providers=has_providers,
        more_href=more_href,
    )


def vm_row(vm: VmView) -> Fragment:
    """Show a VM in a list."""
    return _fragment("vm_row", f"vm-{vm.id}", vm=vm)


def vm_panel(vm: VmView) -> Fragment:
    """Show a VM's facts and its power buttons."""
    return _fragment("vm_panel", f"vm-panel-{vm.id}", vm=vm)


def vm_locks(
    vm: VmView, locks: Sequence[LockView], waiting: Sequence[LockView]
) -> Fragment:
    """Show who holds the VM, and who waits for it."""
    return _fragment(
        "vm_locks", f"vm-locks-{vm.id}", vm=vm, locks=locks, waiting=waiting
    )


def vm_tasks(vm: VmView, tasks: Sequence[TaskView]) -> Fragment:
    """Show what was last done to a VM."""
    return _fragment(
        "object_tasks", f"vm-tasks-{vm.id}", root=f"vm-tasks-{vm.id}", tasks=tasks
    )


def providers_body(providers: Sequence[ProviderView]) -> Fragment:
    """Show the providers, or that there is none."""
    return _fragment("providers_body", "providers", providers=providers)


def provider_panel(provider: ProviderView) -> Fragment:
    """Show a provider's facts."""
    return _fragment(
        "provider_panel", f"provider-panel-{provider.id}", provider=provider
    )


def provider_tasks(provider: ProviderView, tasks: Sequence[TaskView]) -> Fragment:
    """Show what was last done to a provider."""
    root = f"provider-tasks-{provider.id}"
    return _fragment("object_tasks", root, root=root, tasks=tasks)


def templates_body(templates: Sequence[TemplateView]) -> Fragment:
    """Show every VM template."""
    return _fragment("templates_body", "templates", templates=templates)


def tenants_body(tenants: Sequence[TenantView]) -> Fragment:
    """Show every tenant."""
    return _fragment("tenants_body", "tenants", tenants=tenants)


def orphans_body(ledger: Ledger) -> Fragment:
    """Show what nothing explains, and every provider's sweep."""
    return _fragment("orphans_body", "orphans", ledger=ledger)


def zones(zones: Sequence[ZoneView]) -> Fragment:
    """Show every zone with its workers."""
    return _fragment("zones", "zones", zones=zones)
