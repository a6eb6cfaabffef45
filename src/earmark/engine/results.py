"""Results: plain JSON in the store, and the types that their commands declared for
authors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from earmark.domain.authoring import Returns
from earmark.domain.command import Action, Composite, ExternalJob
from earmark.domain.errors import BadInput, EarmarkError
from earmark.domain.secret import Secret
from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store import tasks
from earmark.store.database import Transaction

R = TypeVar("R")


def result_type(command: type[Returns[R]]) -> Any:
    """The `R` of `ExternalJob[R]` and its kin; `Any` when it was left open."""
    for base in command.__mro__:
        generic = getattr(base, "__pydantic_generic_metadata__", None)
        if generic and generic["origin"] in (Action, ExternalJob, Composite):
            return generic["args"][0]
    return Any


class TaskResults:
    """Results by key, of tasks that ended well. See `domain.authoring.Results`.

    `finished` are those that may be read. `absent` is the error when a key is none of
    theirs.
    """

    def __init__(
        self, finished: Sequence[Task], absent: Callable[[str], EarmarkError]
    ) -> None:
        good = (task for task in finished if task.went_well)
        self._by_key: Mapping[str, Task] = {task.key: task for task in good}
        self._absent = absent

    def keys(self) -> Sequence[str]:
        """The keys of all that ended well, in the plan's order."""
        return tuple(self._by_key)

    def of(self, key: str, kind: type[Returns[R]]) -> R:
        """The result of the child with that key, as its command's type."""
        task = self._by_key.get(key)
        if task is None:
            raise self._absent(key)
        try:
            found = TypeAdapter(result_type(kind)).validate_python(task.result)
        except ValidationError as error:
            raise BadInput(
                f"Child {key!r} is a {task.command}; what it returned is not what "
                f"{kind.__name__} returns: {error.errors()[0]['msg']}."
            ) from None
        return cast(R, found)


def of_children(tx: Transaction, parent: Task) -> TaskResults:
    """What the parent's own `finish` and `next_phase` may read: of every child."""
    children = tasks.children(tx, parent.id)
    return TaskResults(children, lambda key: _unplanned(key, children))


def of_predecessors(engine: Engine, task: Task) -> TaskResults:
    """What a child may read: of those that it came after."""
    before = engine.read(lambda tx: tasks.needed_by(tx, task.id))

    def absent(key: str) -> EarmarkError:
        if task.parent_id is None:
            return BadInput(
                f"It was asked for by itself, so there is no child {key!r}.",
                hint="Results are of the siblings in a plan.",
            )
        parent = task.parent_id
        siblings = engine.read(lambda tx: tasks.children(tx, parent))
        return _out_of_reach(key, task, before, siblings)

    return TaskResults(before, absent)


def _out_of_reach(
    key: str, reader: Task, before: Sequence[Task], siblings: Sequence[Task]
) -> EarmarkError:
    known = tuple(task.key for task in before)
    if key == reader.key:
        return BadInput(
            f"This child is {key!r} itself: it has no result yet.",
            hint=f"It reads of {_list(known)}." if known else "",
        )
    if key in known or key not in {task.key for task in siblings}:
        return _unplanned(key, siblings)
    return BadInput(
        f"This child does not come after {key!r}: it cannot read its result.",
        hint="Only what a child is planned after is read: "
        f"Child(…, after={(*known, key)!r}).",
    )


def _unplanned(key: str, children: Sequence[Task]) -> EarmarkError:
    known = tuple(task.key for task in children)
    if key in known:
        return BadInput(f"Child {key!r} has not ended well, so it has no result.")
    return BadInput(
        f"The plan has no child {key!r}.",
        hint=f"Its children are {_list(known)}." if known else "It has none.",
    )


def _list(keys: Sequence[str]) -> str:
    return ", ".join(map(repr, keys))


def dumped(result: Any) -> Any:
    """A result as plain JSON; raises `EarmarkError` when it cannot be that."""
    try:
        plain = to_jsonable_python(result, fallback=_fallback)
        text = json.dumps(plain, allow_nan=False)
        text.encode()
    except (PydanticSerializationError, ValueError) as error:
        raise EarmarkError(f"The result cannot be stored: {error}") from error
    if "\\u0000" in text or "\\ud8" in text:
        raise EarmarkError("The result cannot be stored: it has NUL or broken text.")
    return plain


def _fallback(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reference()
    raise ValueError(f"nobody knows how to store a {type(value).__name__}")
