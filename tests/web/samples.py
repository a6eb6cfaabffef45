"""A made-up installation, so that every page can be rendered without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from earmark.domain.orphan import SweepState
from earmark.engine.pace import Expected
from earmark.web.consoles.page import ConsolePage
from earmark.web.orphans import (
    AdoptPage,
    Ledger,
    MissingView,
    OrphansPage,
    OrphanView,
    SweepView,
)
from earmark.web.pages import (
    ErrorPage,
    LogPage,
    NotificationsPage,
    Page,
    ProviderFormPage,
    ProviderKind,
    ProviderPage,
    ProvidersPage,
    Question,
    QuestionPage,
    Shell,
    TaskPage,
    TemplateFormPage,
    TemplatesPage,
    TenantFormPage,
    TenantsPage,
    VmPage,
    VmsPage,
    WaitPage,
    WorkersPage,
)
from earmark.web.task_lists import BulkPage, Fate, TaskFilters, TasksPage
from earmark.web.views import (
    ChoiceView,
    DiskView,
    EvidenceView,
    FormField,
    LockView,
    LogLine,
    Notice,
    NotificationView,
    PlaceholderView,
    ProviderRef,
    ProviderView,
    QueueView,
    Ref,
    TaskError,
    TaskView,
    TemplateView,
    TenantView,
    VmView,
    WaitingFor,
    WorkerView,
    ZoneView,
)

NOW = datetime.now(UTC)
GIB = 1024**3
LAB = ProviderRef("lab", "Lab east", "lab")


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def identity(number: int) -> str:
    return f"019a{number:04x}-5b7e-7c1d-9f20-{number * 7919:012x}"


def task(number: int, title: str, state: str = "done", **changed: object) -> TaskView:
    about = title.split()[-1]
    made = TaskView(
        id=identity(number),
        command="StopVm",
        title=title,
        state=state,
        outcome="ok" if state == "done" else None,
        progress=100 if state == "done" else 0,
        message=None,
        result=None,
        error=None,
        object=Ref("vm", about, about, f"/vms/{about}"),
        user="ada",
        parent=None,
        zone="east",
        role="power",
        attempt=1,
        waiting_for=None,
        created_at=ago(minutes=number),
        started_at=None if state == "queued" else ago(minutes=number - 0.1),
        finished_at=ago(minutes=number - 0.7) if state == "done" else None,
        version=7,
        stoppable=state != "done" and "parent" not in changed,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


QUEUED = task(
    1,
    "Power on batch-07",
    "queued",
    expected=Expected(200, timedelta(seconds=12), timedelta(seconds=40)),
    waiting_for=WaitingFor(
        "worker", "no live worker with role power in zone west", ago(minutes=3)
    ),
    zone="west",
)
COPIES = tuple(
    task(
        30 + number,
        f"Copy disk {alias} to fast-ssd",
        state,
        depth=1,
        parent=identity(2),
        command="CreateImageTemplate",
        progress=progress,
        message="Copied and sealed" if state == "done" else None,
        started_at=ago(minutes=2) if state != "queued" else None,
        finished_at=ago(minutes=1) if state == "done" else None,
    )
    for number, (alias, state, progress) in enumerate(
        (("root", "done", 100), ("data", "waiting", 64), ("logs", "queued", 0))
    )
)
COPYING = task(
    2,
    "Create template golden from VM db-02",
    "waiting",
    command="AddVmTemplate",
    progress=54,
    object=Ref("vm", "v2", "db-02", "/vms/v2"),
    waiting_for=WaitingFor(
        "children",
        "3 of 4 steps are under way",
        ago(minutes=1.5),
        NOW + timedelta(seconds=20),
    ),
    children=(
        *COPIES,
        task(
            40,
            "Seal template golden",
            "queued",
            depth=1,
            parent=identity(2),
            waiting_for=WaitingFor(
                "predecessors", "the copies end first", ago(minutes=2)
            ),
        ),
    ),
)
FAILED = task(
    9,
    "Restart mail-01",
    outcome="failed",
    progress=40,
    error=TaskError(
        "provider.refused", "The provider refused: the guest agent does not answer."
    ),
    retry_of=identity(11),
    retried_by=identity(8),
    cancelled_by="grace",
)
HELD = task(
    5,
    "Power off edge-gateway-with-a-rather-long-name-01",
    "held",
    waiting_for=WaitingFor(
        "person", "a person must decide", ago(minutes=4), who="person"
    ),
)
PART_HELD = replace(COPYING, children=(replace(HELD, depth=1, parent=COPYING.id),))
RUNNING = task(
    3, "Power off web-01", "running", progress=30, message="The guest shuts down."
)
TASKS = (
    QUEUED,
    COPYING,
    RUNNING,
    HELD,
    task(7, "Shut down web-02", "cancelling", progress=20),
    task(8, "Create template old from VM db-01", "undoing", progress=70),
    FAILED,
    task(12, "Power on web-03", user="grace"),
    task(15, "Refresh Lab east", outcome="warned", object=None, user="scheduler"),
    task(70, "Power off web-04", outcome="cancelled"),
    task(300, "Power on web-05", outcome="expired"),
    task(3000, "Create template b from VM db-03", outcome="interrupted"),
)

VM = VmView(
    id="v1",
    name="web-01",
    provider=LAB,
    zone="east",
    power_state="on",
    observed_at=ago(seconds=12),
    disks=(
        DiskView("d1", "web-01_root", 20 * GIB, "fast-ssd"),
        DiskView("d2", "web-01_data", 250 * GIB, "bulk"),
    ),
    busy_task=None,
    zone_has_worker=True,
)
BUSY_VM = replace(VM, power_state="stopping", busy_task=RUNNING)
VMS = (
    replace(BUSY_VM),
    replace(VM, id="v2", name="db-02", power_state="off", busy_task=COPYING),
    replace(VM, id="v3", name="web-02"),
    replace(
        VM,
        id="v4",
        name="batch-07",
        power_state="off",
        zone="west",
        zone_has_worker=False,
    ),
    replace(VM, id="v5", name="mail-01", power_state="suspended"),
    replace(
        VM,
        id="v6",
        name="edge-gateway-with-a-rather-long-name-01",
        power_state="unknown",
        observed_at=None,
        disks=(),
    ),
    replace(VM, id="v7", name="web-03", power_state="starting"),
)

LOG = tuple(
    LogLine(number, ago(seconds=300 - number), level, text)  # type: ignore[arg-type]
    for number, (level, text) in enumerate(
        [("info", "Claimed by worker east-1, attempt 1")]
        + [("info", f"Copied {step * 4} %") for step in range(1, 26)]
        + [
            ("warning", "The provider answered 429; slowing down for 5 s"),
            ("error", 'Lost the reply of "image.copy" <after 30 s>; now in doubt'),
            ("info", "Probe 1 of the token: nothing found yet"),
        ],
        start=1,
    )
)
PLACEHOLDER = PlaceholderView(
    id=identity(77),
    operation="vm.stop",
    effect_class="absolute",
    state="held",
    external_id=None,
    first_sent_at=ago(minutes=5),
    next_check_at=None,
    evidence=(
        EvidenceView(ago(minutes=5), "sent", "POST /vms/v6/stop, no reply within 30 s"),
        EvidenceView(ago(minutes=4.5), "probe", "The VM is still on"),
        EvidenceView(ago(minutes=4), "probe", "The provider answered 503 three times"),
    ),
    choices=(
        ChoiceView("adopt", "Adopt this id", "Follow what the provider knows by it."),
        ChoiceView("absent", "Confirm absent", "It is not there: the task fails."),
        ChoiceView("send-again", "Send again", "Once more. There may be two then."),
        ChoiceView("watch", "Stop waiting, and watch", "The task ends interrupted."),
    ),
    handle="job-4711",
)

PROVIDERS = (
    ProviderView(
        "lab", "Lab east", "lab", "east", "ok", None, ago(seconds=40), 42, None
    ),
    ProviderView(
        "ec2",
        "EC2 Frankfurt",
        "ec2",
        "west",
        "failing",
        "The access key was refused (401)",
        ago(hours=3),
        17,
        None,
    ),
    ProviderView(
        "new",
        "Lab south",
        "lab",
        "south",
        "unknown",
        None,
        None,
        0,
        task(1, "Verify Lab south", "running"),
    ),
)

ZONES = (
    ZoneView(
        "east",
        (
            WorkerView(
                "w1", "hydra:4711", "live", ("power", "storage"), ago(seconds=2), 3
            ),
            WorkerView("w2", "hydra:4712", "draining", ("storage",), ago(seconds=4), 1),
        ),
        (
            QueueView("storage", 3, ago(seconds=20)),
            QueueView("console", 1, ago(seconds=4)),
        ),
    ),
    ZoneView(
        "west",
        (WorkerView("w3", "lerna:99", "silent", ("power",), ago(minutes=3), 0),),
        (QueueView("power", 7, ago(minutes=3)),),
    ),
    ZoneView("south", (), ()),
)

TEMPLATES = (
    TemplateView(
        "t1",
        "golden-2026",
        LAB,
        Ref("vm", "v2", "db-02", "/vms/v2"),
        3,
        ago(days=2),
        Ref("task", "1", "Create template", "/tasks/1"),
    ),
    TemplateView("t2", "minimal", LAB, None, 1, ago(days=40), None),
)

TENANTS = (
    TenantView(
        "n1",
        "research",
        "Everything that is tried out and thrown away again",
        LAB,
        ago(days=2),
        Ref("task", "1", "Create tenant research at Lab east", "/tasks/1"),
    ),
    TenantView("n2", "shop", "", LAB, ago(days=40), None),
)
ORPHANS = (
    OrphanView(
        "o1",
        "root of golden",
        "image",
        "5e0f7a52-9d0c-4b8e-8d4f-0d3b5a1d7c11",
        LAB,
        ago(hours=5),
        "The provider made more than one for the one request of “Copy disk root to "
        "bulk”; it did not recognise the token. This one is not the one that we use.",
        Ref("task", "1", "Copy disk root to bulk", "/tasks/1"),
    ),
    OrphanView(
        "o2",
        "shop",
        "tenant",
        "77d1c1de-6a7f-4be4-9f0b-6f0b3f3a2f02",
        LAB,
        ago(days=3),
        "No row of ours knows the request that made it, though it is younger than our "
        "oldest task. A store that was put back from a copy, or a failover that lost "
        "its last commits, forgets like that.",
        None,
    ),
)
SWEEPS = (
    SweepView(
        LAB,
        SweepState.OK,
        ago(minutes=4),
        "41 with our mark, 2 orphans open now, 1 missing, 7 of another installation.",
        7,
    ),
    SweepView(
        ProviderRef("aws", "AWS Frankfurt", "ec2"),
        SweepState.UNSUPPORTED,
        None,
        "Earmark makes nothing at this kind of provider: no orphans.",
        0,
    ),
)
LEDGER = Ledger(
    ORPHANS,
    (
        MissingView(
            "image",
            "0b1b9d0a-2a63-4f0f-9a55-1d6c3cf7f0aa",
            LAB,
            Ref("task", "2", "Copy disk data to bulk", "/tasks/2"),
            ago(days=9),
        ),
    ),
    3,
    SWEEPS,
)
TENANT_FIELDS = (
    FormField("provider", "Provider", "select", value="Lab", choices=("Lab", "West")),
    FormField("name", "Name", value="shop", error="is taken"),
    FormField("description", "Description", required=False),
)

FIELDS = (
    FormField("name", "Name", value="Lab north"),
    FormField(
        "zone",
        "Zone",
        "select",
        value="east",
        choices=("east", "south", "west"),
        help="Whose workers reach it.",
        error="No zone is called north; known are east, south and west.",
    ),
    FormField("url", "Address", "url", value="http://127.0.0.1:9000"),
    FormField("user", "User", required=False),
    FormField("password", "Password", "password", kept=True),
)
KINDS = (
    ProviderKind("lab", "Lab", "A small simulated site"),
    ProviderKind("ec2", "Amazon EC2", "Instances in one region"),
)

NEWS = (
    NotificationView(
        "n1",
        FAILED.title,
        "failed",
        "The provider refused: the guest agent does not answer.",
        "/notifications/n1",
        ago(minutes=9),
        read=False,
        bad=True,
    ),
    NotificationView(
        "n2",
        "Power on web-03",
        "ok",
        "",
        "/notifications/n2",
        ago(minutes=12),
        read=True,
        bad=False,
    ),
)

SHELL = Shell(
    installation="Earmark demo",
    now=NOW,
    user="ada",
    running=3,
    needing=1,
    orphans=2,
    news=2,
    recent=TASKS[:10],
    notices=(
        Notice(
            "bad",
            "Restart mail-01 failed.",
            Ref("task", FAILED.id, "See why", FAILED.href),
            "The provider refused: the guest agent does not answer.",
            id="n1",
        ),
    ),
    simulated=True,
    loopback=True,
    version="0.1.0",
)
QUIET_SHELL = replace(SHELL, notices=(), running=0, needing=0, news=0, recent=())

PARENT = Ref("task", COPYING.id, COPYING.title, COPYING.href)

WAITING = (
    LockView("shared", "vm", Ref("task", COPYING.id, COPYING.title, COPYING.href), NOW),
    LockView("exclusive", "vm", Ref("task", QUEUED.id, QUEUED.title, QUEUED.href), NOW),
)
CANCEL = Question(
    "cancel",
    f"Cancel “{COPYING.title}”?",
    "The provider is asked to stop what is under way; how that really ends counts.",
    f"{COPYING.href}/cancel",
    "Cancel the task",
    COPYING.href,
)
AGAIN = Question(
    "send-again",
    "Send again?",
    "The same request, once more. If the first one did arrive, there may be two.",
    f"{HELD.href}/resolve",
    "Send again",
    HELD.href,
    (("decision", "send-again"),),
)

PAGES: Mapping[str, Page] = {
    "vms": VmsPage(vms=VMS),
    "vms-none": VmsPage(vms=(), has_providers=False),
    "vm": VmPage(VM, TASKS[6:9], (), "key-1"),
    "vm-busy": VmPage(
        BUSY_VM,
        TASKS[2:3],
        (
            LockView(
                "exclusive", "vm", Ref("task", "1", RUNNING.title, "/tasks/1"), NOW
            ),
        ),
        "key-1",
        WAITING,
    ),
    "console": ConsolePage(VM),
    "template-new": TemplateFormPage(
        VM,
        "key-1",
        FormField("name", "Template name", error="The name is taken.", value="golden"),
    ),
    "tasks": TasksPage(TASKS, TaskFilters(), ("AddVmTemplate", "StopVm"), "/tasks?a=b"),
    "tasks-none": TasksPage((), TaskFilters(q="nothing"), ("StopVm",)),
    "tasks-wrong": TasksPage(
        (), TaskFilters(zone="mars"), (), error="No zone.", wrong=frozenset({"zone"})
    ),
    "bulk": BulkPage(
        "cancel",
        (
            Fate("It ends at once.", ("Power off web01",), False),
            Fate("It has ended already.", ("a", "b", "c", "d"), True),
        ),
        ("1", "2"),
        "",
        "/tasks",
        "key-1",
    ),
    "task": TaskPage(
        COPYING, None, Ref("p", "lab", "Lab", "/p"), LOG, (), "key-1", (CANCEL,)
    ),
    "task-held": TaskPage(
        HELD, PARENT, None, LOG[-4:], (PLACEHOLDER,), "key-1", (CANCEL, AGAIN)
    ),
    "task-part-held": TaskPage(PART_HELD, None, None, LOG, (), "key-1", (CANCEL,)),
    "log": LogPage(COPYING, LOG, "copied", None, "/tasks/2/log?after=1000"),
    "log-none": LogPage(COPYING, (), "nothing"),
    "question": QuestionPage(CANCEL, "key-1"),
    "task-failed": TaskPage(FAILED, None, None, (), (), "key-1"),
    "wait": WaitPage(RUNNING, "/tasks/1/wait?next=vm", "/pages/wait?hold=1", "/vms/v1"),
    "wait-no-worker": WaitPage(
        QUEUED,
        "/tasks/1/wait?next=vm",
        "/pages/wait",
        "/tasks/1/background",
        offer_background=True,
    ),
    "providers": ProvidersPage(PROVIDERS, "key-1"),
    "provider": ProviderPage(PROVIDERS[1], TASKS[8:9], "key-1"),
    "provider-new": ProviderFormPage(
        KINDS, KINDS[0], FIELDS, "key-1", error="The provider could not be verified."
    ),
    "templates": TemplatesPage(TEMPLATES),
    "templates-none": TemplatesPage(()),
    "tenants": TenantsPage(TENANTS),
    "tenants-none": TenantsPage(()),
    "tenant-new": TenantFormPage(TENANT_FIELDS, "key-1"),
    "tenant-new-nowhere": TenantFormPage((), "key-1"),
    "orphans": OrphansPage(LEDGER, "key-1"),
    "orphan-adopt": AdoptPage(ORPHANS[0], FormField("why", "Why it is wanted"), "key"),
    "workers": WorkersPage(ZONES),
    "notifications": NotificationsPage(NEWS),
    "notifications-none": NotificationsPage(()),
    "error": ErrorPage(
        404,
        "No such task",
        "There is no task 019a…, or it is not yours to see.",
        "Tasks are kept for 30 days after their end; older ones are pruned.",
    ),
}
