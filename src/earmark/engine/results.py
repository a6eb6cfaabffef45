"""Results: plain JSON in the store, and the types that their commands declared for
authors."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from earmark.domain.authoring import Returns
from earmark.domain.command import Action, Composite, ExternalJob
from earmark.domain.errors import BadInput, EarmarkError
from earmark.domain.secret import Secret
from earmark.domain.task import Task

R = TypeVar("R")


def result_type(command: type[Returns[R]]) -> Any:
    """The `R` of `ExternalJob[R]` and its kin; `Any` when it was left open."""
    for base in command.__mro__:
        generic = getattr(base, "__pydantic_generic_metadata__", None)
        if generic and generic["origin"] in (Action, ExternalJob, Composite):
            return generic["args"][0]
    return Any


class TaskResults:
    """Results by key, of tasks that ended well. See `domain.authoring.Results`."""

    def __init__(self, finished: Sequence[Task]) -> None:
        good = (task for task in finished if task.went_well)
        self._by_key: Mapping[str, Task] = {task.key: task for task in good}

    def keys(self) -> Sequence[str]:
        """The keys of all that ended well, in the plan's order."""
        return tuple(self._by_key)

    def of(self, key: str, kind: type[Returns[R]]) -> R:
        """The result of the child with that key, as its command's type."""
        task = self._by_key.get(key)
        if task is None:
            raise BadInput(f"No child {key!r} has ended well.")
        try:
            found = TypeAdapter(result_type(kind)).validate_python(task.result)
        except ValidationError as error:
            raise BadInput(
                f"Child {key!r} is a {task.command}; what it returned is not what "
                f"{kind.__name__} returns: {error.errors()[0]['msg']}."
            ) from None
        return cast(R, found)


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
