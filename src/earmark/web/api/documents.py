"""The JSON documents of the API: the contract's names and no others."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from earmark.domain.inventory import PowerState
from earmark.domain.states import Outcome, TaskState
from earmark.engine.pace import Expected
from earmark.engine.resolve import Decision


class Document(BaseModel):
    """What all documents have in common: they are made of our own objects."""

    model_config = ConfigDict(from_attributes=True)


class ObjectOut(Document):
    """What a task works on."""

    type: str
    id: str
    name: str


class WaitingForOut(Document):
    """What an unfinished task waits for, since when, and when it is looked at next."""

    kind: str
    text: str
    since: datetime
    next_check: datetime | None
    who: str = Field(description="Who can end it: `engine` or `person`")
    task: str | None = Field(description="The task that is in the way, if one is")


class TaskOut(Document):
    """One run of a command."""

    id: str
    command: str
    title: str
    state: TaskState
    outcome: Outcome | None
    progress: int = Field(ge=0, le=100)
    message: str
    result: Any
    error: dict[str, Any] | None
    object: ObjectOut | None
    user: str
    parent: str | None
    zone: str
    role: str
    attempt: int
    undoes: str | None = Field(description="The token of what it takes back")
    retry_of: str | None
    retried_by: str | None = Field(description="The newest task that tries it again")
    cancelled_by: str | None
    waiting_for: WaitingForOut | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    version: int

    @property
    def over(self) -> bool:
        """Whether waiting helps no more."""
        asked = self.waiting_for is not None and self.waiting_for.kind == "person"
        return asked or self.state in (TaskState.DONE, TaskState.HELD)


class ExpectedOut(Document):
    """How long a task may take, by the newest past runs of its command that ended
    ok."""

    runs: int
    usual_seconds: float = Field(description="Half of them took at most so long")
    longest_seconds: float = Field(description="99 of 100 took at most so long")
    slow: bool = Field(description="This one has been under way for longer")
    text: str

    @classmethod
    def of(cls, it: Expected) -> "ExpectedOut":
        """Say lengths in seconds."""
        return cls(
            runs=it.runs,
            usual_seconds=it.usual.total_seconds(),
            longest_seconds=it.longest.total_seconds(),
            slow=it.slow,
            text=it.text,
        )


class OfferOut(Document):
    """What a cancel would mean now."""

    kind: str
    text: str


class ChoiceOut(Document):
    """What a person can decide about a held task."""

    decision: Decision
    label: str
    text: str


class EvidenceOut(Document):
    """Something seen of what a held task asked for."""

    at: datetime
    kind: str
    text: str
    external_id: str | None


class OneTaskOut(TaskOut):
    """One run of a command, and what can be asked of it now."""

    expected: ExpectedOut | None = Field(
        description="Null when it has ended, or past runs are too few to tell"
    )
    offer: OfferOut | None = Field(
        description="What a cancel would mean; null when it cannot be cancelled"
    )
    choices: list[ChoiceOut] = Field(
        description="What a person can decide; empty unless it is held"
    )
    evidence: list[EvidenceOut] = Field(description="What was seen, if it is held")


class ResolveIn(BaseModel):
    """A person's decision about a held task."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision
    external_id: str | None = Field(
        None, max_length=1000, description="What to adopt, by its id at the provider"
    )


class LogLineOut(Document):
    """One line of a task's log; numbers start at 1 and have no gaps."""

    number: int
    at: datetime
    level: str
    text: str


class NotificationOut(Document):
    """The end of a task that somebody wanted to be told of."""

    id: str
    task_id: str
    next: str = Field(description="The continuation that the end leads to")
    title: str
    outcome: Outcome
    message: str
    ended_at: datetime
    read_at: datetime | None


class CommandOut(BaseModel):
    """A command that can be asked for, and what it takes."""

    name: str
    title: str
    version: int
    description: str
    parameters: dict[str, Any] = Field(description="JSON Schema of the parameters")


class DiskOut(Document):
    """A disk of a VM."""

    id: str
    alias: str
    size_bytes: int
    domain: str


class VmOut(BaseModel):
    """A VM as last observed."""

    id: str
    name: str
    provider: str
    zone: str
    power_state: PowerState
    disks: list[DiskOut]
    observed_at: datetime | None
    busy_task: str | None = Field(
        description="The newest task on it that has not ended"
    )


class TemplateOut(BaseModel):
    """A VM template."""

    id: str
    name: str
    provider: str
    vm: str | None
    disks: int
    created_at: datetime


class TenantOut(BaseModel):
    """A tenant of a provider."""

    id: str
    name: str
    description: str
    provider: str
    created_at: datetime = Field(description="When it was first known of")
    task: str | None = Field(description="The task that made it, if one of ours did")


class ProviderOut(Document):
    """A provider, without a word of its secrets."""

    id: str
    name: str
    kind: str
    zone: str
    settings: dict[str, Any]
    health: str
    health_message: str
    created_at: datetime | None
    refreshed_at: datetime | None


class WorkerOut(Document):
    """A worker process."""

    id: str
    zone: str
    roles: list[str]
    state: str
    host: str
    pid: int
    slots: int
    started_at: datetime
    seen_at: datetime


class ZoneOut(BaseModel):
    """A zone, and how many live workers stand in it."""

    id: str
    name: str
    description: str
    workers: int


class VerifyIn(BaseModel):
    """An endpoint whose credentials are to be tried; nothing is saved."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    kind: str
    zone: str = "default"
    settings: dict[str, Any]
    secrets: dict[str, str]


class ProblemField(BaseModel):
    """One part of the request that was wrong."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """An error as RFC 9457 writes it."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""
    errors: list[ProblemField] = []
