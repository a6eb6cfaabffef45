"""More sample pages: a task in every state, and what a page looks like when it is full,
narrowed or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from earmark.domain.orphan import OrphanState, SweepState
from earmark.engine.pace import Expected
from earmark.web.orphans import (
    DecidedOrphansPage,
    DestroyPage,
    Ledger,
    OrphansPage,
    SweepView,
)
from earmark.web.pages import (
    NotificationsPage,
    Page,
    ProviderFormPage,
    ProvidersPage,
    QuestionPage,
    TaskPage,
    VmsPage,
    WaitPage,
)
from earmark.web.task_lists import TaskFilters, TasksPage
from earmark.web.views import (
    NotificationView,
    ProviderRef,
    Ref,
    TaskError,
    TaskView,
    WaitingFor,
)

from .samples import (
    AGAIN,
    CANCEL,
    COPYING,
    FAILED,
    FIELDS,
    HELD,
    KINDS,
    LAB,
    LOG,
    NEWS,
    NOW,
    ORPHANS,
    PAGES,
    PLACEHOLDER,
    QUEUED,
    RUNNING,
    SWEEPS,
    TASKS,
    VMS,
    ago,
    task,
)

PROVIDER = Ref("provider", LAB.id, LAB.name, LAB.href)
LOCKED = task(
    4,
    "Restart db-02",
    "waiting",
    object=Ref("vm", "v2", "db-02", "/vms/v2"),
    waiting_for=WaitingFor(
        "lock",
        "VM db-02 is held by “Create template golden from VM db-02”",
        ago(minutes=2),
        NOW + timedelta(seconds=5),
        task=COPYING.id,
    ),
)
UNSURE = replace(
    HELD,
    title="Power off web-02",
    object=Ref("vm", "web-02", "web-02", "/vms/web-02"),
    message="The request was sent, its reply was lost, and the provider cannot tell.",
)
SLOW = replace(
    RUNNING,
    progress=72,
    expected=Expected(340, timedelta(seconds=9), timedelta(seconds=31), slow=True),
    waiting_for=WaitingFor(
        "provider",
        "Lab east has not answered 3 times, it is asked again",
        ago(seconds=70),
        NOW + timedelta(seconds=8),
    ),
)
LEFT = replace(
    FAILED,
    title="Create template old from VM db-01",
    command="AddVmTemplate",
    object=Ref("vm", "v8", "db-01", "/vms/v8"),
    cancelled_by=None,
    retried_by=None,
    error=TaskError(
        "template.copy-failed",
        "The storage domain bulk has no room for the copy of disk data.",
        ("image root of template old (img-7731)", "image logs of template old"),
        ("Take back the copy of disk root",),
        tuple(f"Copy disk d{number} to bulk" for number in range(4)),
    ),
)
DONE = task(
    12,
    "Create template golden from VM db-02",
    command="AddVmTemplate",
    message="Copied 3 disks and sealed the template.",
    result="019a0c2e-5b7e-7c1d-9f20-0000000171d4",
    object=Ref("vm", "v2", "db-02", "/vms/v2"),
    children=tuple(
        task(60 + number, title, depth=1, parent="x", command="CreateImageTemplate")
        for number, title in enumerate(
            (
                "Copy disk root to fast-ssd",
                "Copy disk data to fast-ssd",
                "Copy disk logs to fast-ssd",
                "Seal template golden",
            )
        )
    ),
)
MANY_NEWS = (
    *NEWS,
    NotificationView(
        "n3",
        "Create template golden from VM db-02",
        "warned",
        "One snapshot of db-02 could not be removed; it takes up 4 GiB.",
        "/notifications/n3",
        ago(hours=2),
        read=False,
        bad=True,
    ),
    NotificationView(
        "n4",
        "Power off web-04",
        "cancelled",
        "",
        "/notifications/n4",
        ago(hours=30),
        read=True,
        bad=False,
    ),
)
DECIDED = (
    replace(
        ORPHANS[0],
        state=OrphanState.ADOPTED,
        decided_by="ada",
        why="The tests boot from it.",
        decided_at=ago(minutes=9),
    ),
    replace(
        ORPHANS[1],
        state=OrphanState.DESTROYED,
        decided_by="ben",
        decided_at=ago(hours=9),
    ),
    replace(ORPHANS[1], id="o3", state=OrphanState.GONE, decided_at=ago(days=1)),
)
NOT_SWEPT = SweepView(
    ProviderRef("west", "Lab west", "lab"), SweepState.NEVER, None, "Not swept yet.", 0
)
FILTERS = TaskFilters(q="web", object="vm:web-01", user="ada", since="2026-11-01T00:00")


def page(it: TaskView, *, told: bool = True) -> TaskPage:
    """The page of a task, with its log."""
    lines = LOG[:6] if told else ()
    asked = () if it.done else (CANCEL,)
    return TaskPage(it, None, PROVIDER, lines, (), "key-1", asked)


STATES: Mapping[str, Page] = {
    "task-queued": page(QUEUED, told=False),
    "task-running": page(replace(RUNNING, expected=QUEUED.expected)),
    "task-waiting": page(LOCKED),
    "task-left": page(LEFT),
    "task-done": page(DONE),
    "task-cancelled": page(TASKS[9]),
    "task-held-plain": TaskPage(
        UNSURE, None, PROVIDER, LOG[-4:], (PLACEHOLDER,), "key-1", (CANCEL, AGAIN)
    ),
    "tasks-filtered": TasksPage(
        TASKS[2:5],
        FILTERS,
        ("AddVmTemplate", "StopVm"),
        "/tasks?older=x",
        "/tasks",
        zones=("east", "west"),
        searched=20000,
    ),
    "tasks-needs": TasksPage((), TaskFilters(needs="me"), ("StopVm",)),
    "question-again": QuestionPage(AGAIN, "key-1"),
    "wait-slow": WaitPage(
        SLOW,
        "/tasks/1/wait",
        "/pages/wait",
        "/tasks/1/background",
        offer_background=True,
    ),
    "wait-queued": WaitPage(
        replace(
            QUEUED,
            zone="east",
            waiting_for=WaitingFor(
                "worker", "4 tasks are before it in zone east", ago(seconds=5)
            ),
        ),
        "/tasks/1/wait",
        "/pages/wait",
        "/tasks/1/background",
    ),
    "notifications-full": NotificationsPage(MANY_NEWS),
    "providers-none": ProvidersPage((), "key-1"),
    "orphans-none": OrphansPage(
        Ledger((), (), 0, (replace(SWEEPS[0], young=2),)), "key-1"
    ),
    "orphans-not-looked-for": OrphansPage(
        Ledger((), (), 0, (NOT_SWEPT, SWEEPS[1])), "key-1"
    ),
    "orphans-not-looked-for-everywhere": OrphansPage(
        Ledger((), (), 0, (SWEEPS[0], NOT_SWEPT)), "key-1"
    ),
    "orphans-no-provider": OrphansPage(Ledger((), (), 0, ()), "key-1"),
    "orphan-destroy": DestroyPage(ORPHANS[0], "key-1"),
    "orphans-decided": DecidedOrphansPage(DECIDED, more=True),
    "orphans-decided-none": DecidedOrphansPage(()),
    "provider-new-kind": ProviderFormPage(KINDS, None, (), "key-1"),
    "provider-new-empty": ProviderFormPage(
        KINDS,
        KINDS[0],
        tuple(replace(it, error=None, value="", kept=False) for it in FIELDS),
        "key-1",
    ),
    "vms-chosen": VmsPage(VMS, chosen=frozenset({"v1", "v3"})),
    "vms-nothing-found": VmsPage((), q="nothing like it"),
}
EVERY_PAGE: Mapping[str, Page] = {**PAGES, **STATES}
