"""Each page as a value: which template it is, what it shows, what it listens to.

A page opens one stream, `/events?topics=…`, for all its `topics` and for what
surrounds every page, the `Shell`. Only a page that is not `live` opens none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlencode

from earmark.web.policy import SECURITY_POLICY
from earmark.web.views import (
    FormField,
    LockView,
    LogLine,
    Notice,
    NotificationView,
    PlaceholderView,
    ProviderView,
    Ref,
    TaskView,
    TemplateView,
    TenantView,
    VmView,
    ZoneView,
)

TEMPLATE_NAME = FormField("name", "Template name")


@dataclass(frozen=True)
class Shell:
    """What every page says around its own content."""

    installation: str
    now: datetime
    user: str | None = None
    running: int = 0
    needing: int = 0
    """How many tasks need a person."""
    orphans: int = 0
    """How many things at providers nothing explains."""
    news: int = 0
    """How many notifications wait."""
    recent: tuple[TaskView, ...] | None = None
    """The tasks that were asked for last; None where nobody could be asked."""
    notices: tuple[Notice, ...] = ()
    simulated: bool = False
    loopback: bool = False
    version: str = ""


@dataclass(frozen=True)
class Page(ABC):
    """What all pages have."""

    template: ClassVar[str]
    section: ClassVar[str] = ""
    live: ClassVar[bool] = True

    security_policy: ClassVar[str] = SECURITY_POLICY

    @property
    @abstractmethod
    def heading(self) -> str:
        """The title of the page and of the browser's tab."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What the page's stream is about."""
        return ()


@dataclass(frozen=True)
class VmsPage(Page):
    """All VMs."""

    template = "vms.html"
    section = "vms"
    heading = "VMs"
    vms: tuple[VmView, ...]
    q: str = ""
    after: str = ""
    """The name after which the page begins."""
    has_providers: bool = True
    more_href: str | None = None
    idempotency_key: str = ""
    chosen: frozenset[str] = frozenset()
    """The VMs that are ticked already."""

    @property
    def all_href(self) -> str:
        """This page with every VM ticked."""
        here = {"q": self.q, "after": self.after, "select": "all"}
        return "/vms?" + urlencode({name: it for name, it in here.items() if it})

    @property
    def topics(self) -> tuple[str, ...]:
        """The VMs of this very page."""
        return (f"vms:{urlencode({'q': self.q, 'after': self.after})}",)


@dataclass(frozen=True)
class VmPage(Page):
    """One VM: its facts, its buttons and what was done to it."""

    template = "vm.html"
    section = "vms"
    vm: VmView
    tasks: tuple[TaskView, ...]
    locks: tuple[LockView, ...]
    idempotency_key: str
    waiting: tuple[LockView, ...] = ()
    can_make_template: bool = True
    template_name: FormField = TEMPLATE_NAME

    @property
    def heading(self) -> str:
        """The VM's name."""
        return self.vm.name

    @property
    def topics(self) -> tuple[str, ...]:
        """The VM, with its tasks and locks."""
        return (f"vm:{self.vm.id}",)


@dataclass(frozen=True)
class TemplateFormPage(Page):
    """The form that makes a template of a VM, as a page of its own."""

    template = "template_new.html"
    section = "vms"
    vm: VmView
    idempotency_key: str
    name: FormField = TEMPLATE_NAME

    @property
    def heading(self) -> str:
        """What the form does."""
        return f"Create a template from {self.vm.name}"


@dataclass(frozen=True)
class Question:
    """Something that is asked before it is done: what it means, and the form that
    does it."""

    name: str
    title: str
    text: str
    action: str
    word: str
    """What the button says."""
    back: str
    """The page for those who would rather not."""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TaskPage(Page):
    """One task: where it stands, its tree, its log, and the evidence if in doubt."""

    template = "task.html"
    section = "tasks"
    task: TaskView
    parent: Ref | None
    provider: Ref | None
    log: tuple[LogLine, ...]
    """The last lines only; the whole log is at `/tasks/{id}/log`."""
    placeholders: tuple[PlaceholderView, ...]
    idempotency_key: str
    questions: tuple[Question, ...] = ()
    """What is asked in a dialog before it is done."""

    @property
    def heading(self) -> str:
        """The task's title."""
        return self.task.title

    @property
    def topics(self) -> tuple[str, ...]:
        """The task, with its tree, log and placeholders."""
        return (f"task:{self.task.id}",)


@dataclass(frozen=True)
class LogPage(Page):
    """A task's log, a thousand lines at a time, narrowed by words."""

    template = "log.html"
    section = "tasks"
    task: TaskView
    lines: tuple[LogLine, ...]
    q: str = ""
    first_href: str | None = None
    """The beginning again, where this is not it."""
    more_href: str | None = None

    @property
    def heading(self) -> str:
        """Whose log it is."""
        return f"Log of {self.task.title}"


@dataclass(frozen=True)
class QuestionPage(Page):
    """A question as a page of its own, where there is no dialog."""

    template = "question.html"
    section = "tasks"
    question: Question
    idempotency_key: str

    @property
    def heading(self) -> str:
        """What is asked."""
        return self.question.title


@dataclass(frozen=True)
class WaitPage(Page):
    """A wait for a task; its address is its whole state."""

    template = "wait.html"
    section = "tasks"
    task: TaskView
    self_href: str
    """This page: asked again after the end, it answers with a redirect to `next`."""
    hold_href: str
    """This page for browsers without JavaScript: the answer waits for the end."""
    background_href: str
    """Where the wish to go on in the background is sent."""
    next: str = "task"
    """The name of the continuation."""
    offer_background: bool = False
    """Whether ten seconds have passed already."""

    @property
    def heading(self) -> str:
        """The task's title."""
        return self.task.title

    @property
    def topics(self) -> tuple[str, ...]:
        """The wait panel of the task."""
        return (f"wait:{self.self_href}",)


@dataclass(frozen=True)
class ProvidersPage(Page):
    """All providers."""

    template = "providers.html"
    section = "providers"
    heading = "Providers"
    topics = ("providers",)
    providers: tuple[ProviderView, ...]
    idempotency_key: str


@dataclass(frozen=True)
class ProviderPage(Page):
    """One provider."""

    template = "provider.html"
    section = "providers"
    provider: ProviderView
    tasks: tuple[TaskView, ...]
    idempotency_key: str

    @property
    def heading(self) -> str:
        """The provider's name."""
        return self.provider.name

    @property
    def topics(self) -> tuple[str, ...]:
        """The provider, with its tasks."""
        return (f"provider:{self.provider.id}",)


@dataclass(frozen=True)
class ProviderKind:
    """A kind of provider that can be added."""

    name: str
    title: str
    text: str


@dataclass(frozen=True)
class ProviderFormPage(Page):
    """The form that adds a provider: first its kind, then what that kind asks for."""

    template = "provider_new.html"
    section = "providers"
    heading = "Add a provider"
    kinds: tuple[ProviderKind, ...]
    kind: ProviderKind | None
    fields: tuple[FormField, ...]
    idempotency_key: str
    error: str | None = None
    draft: str | None = None
    """The form that was sent before; its secrets are kept, sealed."""


@dataclass(frozen=True)
class TemplatesPage(Page):
    """All VM templates."""

    template = "templates.html"
    section = "templates"
    heading = "Templates"
    topics = ("templates",)
    templates: tuple[TemplateView, ...]


@dataclass(frozen=True)
class TenantsPage(Page):
    """All tenants."""

    template = "tenants.html"
    section = "tenants"
    heading = "Tenants"
    topics = ("tenants",)
    tenants: tuple[TenantView, ...]


@dataclass(frozen=True)
class TenantFormPage(Page):
    """The form that creates a tenant; without fields when no provider can."""

    template = "tenant_new.html"
    section = "tenants"
    heading = "Create a tenant"
    fields: tuple[FormField, ...]
    idempotency_key: str


@dataclass(frozen=True)
class WorkersPage(Page):
    """Workers, by zone."""

    template = "workers.html"
    section = "workers"
    heading = "Workers"
    topics = ("workers",)
    zones: tuple[ZoneView, ...]


@dataclass(frozen=True)
class NotificationsPage(Page):
    """Ends of tasks that somebody wanted to be told of."""

    template = "notifications.html"
    section = "notifications"
    heading = "Notifications"
    topics = ("notifications",)
    notifications: tuple[NotificationView, ...]


@dataclass(frozen=True)
class ErrorPage(Page):
    """What went wrong with a request, and what to do about it."""

    template = "error.html"
    live = False
    status: int
    title: str
    text: str
    advice: str
    back: Ref | None = None

    @property
    def heading(self) -> str:
        """What was wrong, in a few words."""
        return self.title
