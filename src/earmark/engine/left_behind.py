"""Left behind: what a task that ends badly has left at providers, said in its end, so
that nobody has to find it on a bill (rule 8)."""

from collections.abc import Iterable, Iterator
from typing import Any

from earmark.domain.connector import EffectClass
from earmark.domain.states import Outcome, PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.end import End
from earmark.store import images, inventory, placeholders, tasks
from earmark.store.database import Transaction

#: How many of the steps that were not done a message names.
SHOWN = 3


def failed_with(
    tx: Transaction,
    task: Task,
    message: str,
    code: str,
    outcome: Outcome = Outcome.FAILED,
    known: Iterable[str] = (),
) -> End:
    """A bad end that names what is left behind at providers, and the steps that did
    not end well."""
    left = list(dict.fromkeys([*known, *left_behind(tx, task)]))
    error: dict[str, Any] = {"code": code, "message": message}
    if left:
        error["left_behind"] = left
        message += f"{_stop(message)} Left behind: {'; '.join(left)}."
    undone = [
        child.title for child in tasks.children(tx, task.id) if not child.went_well
    ]
    if undone:
        error["not_done"] = undone
        more = f" and {len(undone) - SHOWN} more" if len(undone) > SHOWN else ""
        message += f"{_stop(message)} Not done: {'; '.join(undone[:SHOWN])}{more}."
    return End(outcome, message, error=error)


def _stop(message: str) -> str:
    """The full stop that a provider's own words may lack before ours go on."""
    return "" if message.endswith((".", "!", "?")) else "."


def left_behind(tx: Transaction, parent: Task) -> Iterator[str]:
    """What the children have left at providers, one line each: every effect that was
    accepted and has ended, unless the provider itself said that it failed; and what a
    person chose to watch, which may be there. A state that was brought about is no such
    thing, nor is an image that a VM's disk is on."""
    children = tasks.children(tx, parent.id)
    effects = placeholders.of_tasks(tx, [child.id for child in children])
    for child in children:
        effect = effects.get(child.id)
        if effect is None:
            yield from left_behind(tx, child)
        elif effect.state is PlaceholderState.WATCHED:
            yield f"perhaps {_named(tx, effect, child)}"
        elif _leaves_something(tx, effect, child):
            yield _named(tx, effect, child)


def _leaves_something(tx: Transaction, effect: Placeholder, child: Task) -> bool:
    """True for what was made, and is no part of anything else now, unless the provider
    or a person said that nothing came of it. A job may end well without a result; then
    its task tells."""
    settled = effect.state is PlaceholderState.SETTLED
    if not settled or effect.effect == EffectClass.ABSOLUTE:
        return False
    made = child.went_well or effect.result is not None
    if not made and "left_behind" not in (child.error or {}):
        return False
    return images.user_of(tx, effect.provider_id, str(effect.result)) is None


def _named(tx: Transaction, effect: Placeholder, child: Task) -> str:
    where = inventory.name_of(tx, "provider", effect.provider_id)
    what = effect.result if isinstance(effect.result, str) else effect.external_id
    return f"{what or effect.operation} at {where} (“{child.title}”)"
