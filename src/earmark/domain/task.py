"""A task: one run of a command, as the store keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from earmark.domain.states import Outcome, PlaceholderState, Step, TaskState

#: The one principal that exists until there is a login.
LOCAL_OWNER = "local"

DEFAULT_ZONE = "default"
DEFAULT_ROLE = "operations"


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `earmark_tasks`. Field by field its meaning stands in the schema."""

    id: str
    root_id: str
    parent_id: str | None
    key: str
    retry_of: str | None
    undoes_id: str | None
    command: str
    command_version: int
    params: Mapping[str, Any]
    title: str
    object_kind: str | None
    object_id: str | None
    provider_id: str | None
    owner: str
    zone: str
    role: str
    priority: int
    weight: int
    state: TaskState
    step: Step
    outcome: Outcome | None
    verdict: Outcome | None
    progress: int
    message: str
    result: Any
    error: Mapping[str, Any] | None
    attempt: int
    tries: int
    recoveries: int
    pending: int
    stop_requested: bool
    cancelled_by: str | None
    on_restart: str
    restored: bool
    worker_id: str | None
    run_after: datetime
    deadline_at: datetime | None
    start_by: datetime | None
    end_by: datetime | None
    version: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    @property
    def done(self) -> bool:
        """True once the task has ended, for good."""
        return self.state is TaskState.DONE

    @property
    def went_well(self) -> bool:
        """True once it has ended `ok`, or `warned`."""
        return self.outcome is not None and self.outcome.good

    @property
    def is_root(self) -> bool:
        """True for what somebody asked for; false for a child of a plan."""
        return self.parent_id is None

    @property
    def stoppable(self) -> bool:
        """True while a person can ask it to stop: a root that has not ended, that was
        not asked yet, and of which nothing is being taken back."""
        asked = self.cancelled_by is not None or self.step is Step.UNDO
        return self.is_root and not self.done and not asked


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A row of `earmark_placeholders`: one promised external effect.

    Its id is the token that is sent to the provider; `external_id` is empty until the
    effect is bound to something that the provider knows.
    """

    id: str
    task_id: str
    root_id: str
    provider_id: str
    operation: str
    effect: str
    state: PlaceholderState
    external_id: str | None
    nonce: str | None
    version: int
    request: Any
    resend: bool
    first_sent_at: datetime | None
    doubt_since: datetime | None
    next_check_at: datetime | None
    checks: int
    errors: int
    stoppable: bool
    undoable: bool
    cancel_asked_at: datetime | None
    seen_before: Any
    decision: Any
    ended_well: bool | None
    result: Any
    undone_at: datetime | None
    replaces_id: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def only_promised(self) -> bool:
        """True while no request for it is on its way or in doubt: what was sent before
        that, if anything, came to nothing."""
        return self.state is PlaceholderState.PLANNED and self.doubt_since is None
