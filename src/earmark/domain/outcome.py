"""What a provider's job, or a look for it, can say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Running:
    """The job goes on. `percent` is 0–100; None when the provider does not say.

    `observed` is anything the command wants its `progressed` hook to be told. When an
    end that was seen has to wait (an absolute command, rule 12), it is the result.
    """

    percent: int | None = None
    message: str = ""
    observed: Any = None


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The job reached its real end, and well. `message` is shown to people; `warned`
    makes the outcome `warned` in place of `ok`."""

    result: R
    message: str = ""
    warned: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider says that the job ended badly and left nothing going on. `code` is
    what `Retry.on` names."""

    message: str
    code: str = "provider-failed"


@dataclass(frozen=True, slots=True)
class Job:
    """A job that is polled with others: the provider's handle of it, and when the
    request for it could first have left."""

    id: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Undone:
    """An effect that is to be taken back, as `tx.undone` shows it to `undo`.

    `token` and `job`: what it was asked for with, and the provider's handle of it.
    `mark`: the whole text of our mark, as `ctx.mark` was in its `send`. `request`: what
    `prepare` returned; None also of what was only found, after the store was put back
    to a copy that does not know it. `result`: what its job returned; None when that did
    not end well, so that something may be there half-way, or nothing. `listed_at`: from
    when on the provider's lists show what is there of it.
    """

    token: str
    mark: str
    job: str
    request: Any
    result: Any
    listed_at: datetime


Progress = Running | Done[Any] | Failed


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate that a `find` saw at the provider; the engine judges it.

    `mark` is what the provider shows inside the object: the token alone, or our whole
    mark, as `send` wrote `ctx.token` or `ctx.mark` into it. It is the proof that it is
    ours; None when it shows none. `done` when the look already saw the end. What is
    only half there is found too, with `done=Failed(...)`: so it is adopted, ends badly
    and is taken back. A whole one comes before a half one.

    For class `tasks`, which shows no mark, return only what fits the request's
    description: it counts as ours if it was not there before the first send.
    """

    id: str
    mark: str | None = None
    done: Done[Any] | Failed | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """False for what cannot be followed: no id that a store can keep, or an end
        that is none."""
        is_text = isinstance(self.id, str) and self.id and "\x00" not in self.id
        return bool(is_text) and isinstance(self.done, Done | Failed | None)
