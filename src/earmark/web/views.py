"""What a page shows: plain nouns, read from the store, handed to the templates.

A view says what is true and nothing of how it looks; words, icons and colours are
chosen in `looks`. Every moment is an aware datetime. Nothing here depends on the
present moment, so equal truth renders to equal text, and a live stream can leave out
what has not changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from earmark.domain.states import Outcome, TaskState
from earmark.engine.cancel import asked_by
from earmark.engine.pace import Expected

#: What is known of a worker's process.
Heard = Literal["live", "draining", "silent", "gone"]


@dataclass(frozen=True)
class Ref:
    """A named thing and where its page is, if it has one."""

    type: str
    id: str
    name: str
    href: str | None = None


@dataclass(frozen=True)
class TaskError:
    """Why a task failed: a code for programs, a sentence for people, what it may have
    left at the provider, what took back what of it, and which steps were not done."""

    code: str
    message: str
    left_behind: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()


@dataclass(frozen=True)
class WaitingFor:
    """What a task waits for, since when, when it is looked at next, who can end it
    (`engine` or `person`), and the task that is in the way, if one is."""

    kind: str
    text: str
    since: datetime
    next_check: datetime | None = None
    who: str = "engine"
    task: str | None = None


@dataclass(frozen=True)
class TaskView:
    """One run of a command; `children` are filled where a page shows the tree."""

    id: str
    command: str
    title: str
    state: str
    outcome: str | None
    progress: int
    message: str | None
    result: str | None
    error: TaskError | None
    object: Ref | None
    user: str
    parent: str | None
    zone: str
    role: str
    attempt: int
    waiting_for: WaitingFor | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    version: int
    depth: int = 0
    children: tuple[TaskView, ...] = ()
    undoes: str | None = None
    retry_of: str | None = None
    retried_by: str | None = None
    cancelled_by: str | None = None
    expected: Expected | None = None
    """Filled in where a page follows the task; None of too few past runs."""
    stoppable: bool = False
    """Whether it can be asked to stop, and was not yet."""
    tries: int = 1
    """How often it was really tried."""

    @property
    def href(self) -> str:
        """The task's own page."""
        return f"/tasks/{self.id}"

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.state == TaskState.DONE

    @property
    def over(self) -> bool:
        """Whether waiting helps no more: it has ended, or a person must decide."""
        return self.done or self.state == TaskState.HELD

    @property
    def asked_to_stop(self) -> tuple[str, str] | None:
        """A label, and who asked it to stop, if anybody did."""
        if self.cancelled_by is None:
            return None
        return asked_by(
            Outcome(self.outcome) if self.outcome else None, self.cancelled_by
        )

    @property
    def retryable(self) -> bool:
        """Whether a person may ask for the same again, as a new task."""
        ended_well = self.outcome in (Outcome.OK, Outcome.WARNED)
        return self.done and self.parent is None and not ended_well

    @property
    def spoken(self) -> str:
        """What a screen reader is told: at the start, each quarter, and the end."""
        if self.done:
            return f"{self.title}: {self.outcome}"
        return f"{self.title}: {self.state}, {self.progress // 25 * 25} percent"

    @property
    def needs_person(self) -> bool:
        """Whether it is held, and nobody has decided yet."""
        reason = self.waiting_for
        return self.state == TaskState.HELD and bool(reason and reason.who == "person")

    @property
    def undecided(self) -> tuple[TaskView, ...]:
        """The descendants about which a person must decide."""
        return tuple(it for it in self.branches() if it.needs_person)

    def branches(self) -> tuple[TaskView, ...]:
        """The descendants, in the order in which a tree lists them."""
        return tuple(
            row for child in self.children for row in (child, *child.branches())
        )


@dataclass(frozen=True)
class DiskView:
    """One disk of a VM."""

    id: str
    alias: str
    size_bytes: int
    domain: str


@dataclass(frozen=True)
class ProviderRef:
    """The provider that a VM lives at."""

    id: str
    name: str
    kind: str

    @property
    def href(self) -> str:
        """The provider's own page."""
        return f"/providers/{self.id}"


@dataclass(frozen=True)
class VmView:
    """A VM as last observed, and the task that is changing it now."""

    id: str
    name: str
    provider: ProviderRef
    zone: str
    power_state: str
    observed_at: datetime | None
    disks: tuple[DiskView, ...]
    busy_task: TaskView | None
    zone_has_worker: bool
    gone_at: datetime | None = None
    """Since when its provider no longer lists it."""

    @property
    def href(self) -> str:
        """The VM's own page."""
        return f"/vms/{self.id}"

    @property
    def size_bytes(self) -> int:
        """All its disks together."""
        return sum(disk.size_bytes for disk in self.disks)


@dataclass(frozen=True)
class LockView:
    """A lock on what the page shows, which a root task holds or waits for."""

    mode: Literal["exclusive", "shared"]
    key: str
    owner: Ref
    since: datetime


@dataclass(frozen=True)
class ProviderView:
    """A provider: where it is, and how its last answer was."""

    id: str
    name: str
    kind: str
    zone: str
    health: Literal["ok", "failing", "unknown"]
    health_text: str | None
    refreshed_at: datetime | None
    vms: int
    busy_task: TaskView | None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def href(self) -> str:
        """The provider's own page."""
        return f"/providers/{self.id}"


#: What stands for the role `*`.
EVERY_ROLE = "every role"


@dataclass(frozen=True)
class WorkerView:
    """A worker process and its pulse."""

    id: str
    name: str
    state: Heard
    roles: tuple[str, ...]
    beat_at: datetime | None
    running: int


@dataclass(frozen=True)
class QueueView:
    """What is queued in a zone for one role."""

    role: str
    depth: int
    oldest_at: datetime


@dataclass(frozen=True)
class ZoneView:
    """A zone: who works there, and how much waits for them."""

    name: str
    workers: tuple[WorkerView, ...]
    queues: tuple[QueueView, ...]

    @property
    def queued(self) -> int:
        """How many tasks wait here, for whatever role."""
        return sum(queue.depth for queue in self.queues)

    @property
    def has_live_worker(self) -> bool:
        """Whether anybody there would claim a task now."""
        return any(worker.state == "live" for worker in self.workers)

    def served(self, role: str) -> bool:
        """Whether anybody there would claim a task of this role now."""
        return any(
            worker.state == "live" and {role, EVERY_ROLE} & {*worker.roles}
            for worker in self.workers
        )


@dataclass(frozen=True)
class TemplateView:
    """A VM template and the task that made it."""

    id: str
    name: str
    provider: ProviderRef
    vm: Ref | None
    disks: int
    created_at: datetime
    task: Ref | None


@dataclass(frozen=True)
class TenantView:
    """A tenant of a provider, and the task that made it if one of ours did."""

    id: str
    name: str
    description: str
    provider: ProviderRef
    created_at: datetime
    task: Ref | None


@dataclass(frozen=True)
class LogLine:
    """One line of a task's log; numbers start at 1 and have no gaps."""

    number: int
    at: datetime
    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class EvidenceView:
    """Something learnt about a promised effect: an answer, a probe, a sighting."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class ChoiceView:
    """What a person can decide about a held effect: the word and what it does."""

    decision: str
    label: str
    text: str


@dataclass(frozen=True)
class PlaceholderView:
    """A promised external effect, with all that is known about it."""

    id: str
    operation: str
    effect_class: str
    state: str
    external_id: str | None
    first_sent_at: datetime | None
    next_check_at: datetime | None
    evidence: tuple[EvidenceView, ...]
    choices: tuple[ChoiceView, ...] = ()
    """What a person can decide here; none unless it is held."""
    handle: str | None = None
    """The provider's name for it, if an answer or a look gave one."""


@dataclass(frozen=True)
class FormField:
    """One field of a form that is made from a schema."""

    name: str
    label: str
    type: Literal["text", "password", "url", "number", "select"] = "text"
    required: bool = True
    help: str | None = None
    value: str = ""
    error: str | None = None
    kept: bool = False
    """A secret that is kept sealed already: empty means keep it."""
    choices: tuple[str, ...] = ()
    """What a `select` can be set to."""


@dataclass(frozen=True)
class Notice:
    """A message that stays until it is dismissed; without an id it cannot be."""

    tone: Literal["ok", "bad", "wait", "busy"]
    text: str
    link: Ref | None = None
    detail: str | None = None
    id: str | None = None
    points: tuple[str, ...] = ()
    """What there is to say of each of several things."""


@dataclass(frozen=True)
class NotificationView:
    """The end of a task that somebody wanted to be told of."""

    id: str
    title: str
    outcome: str
    line: str
    """The first line of what it ended with, an error's above all."""
    href: str
    """Leads on to its continuation, and marks it as read."""
    ended_at: datetime
    read: bool
    bad: bool
    """Stays until it is dismissed."""
