"""Left behind: what a task that ends badly has left at providers, said in its end, so
that nobody has to find it on a bill (rule 8)."""

from collections.abc import Iterable, Iterator
from typing import Any

from earmark.domain.states import Outcome, PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.end import End
from earmark.store import inventory, placeholders, tasks
from earmark.store.database import Transaction


def failed_with(
    tx: Transaction,
    task: Task,
    message: str,
    code: str,
    outcome: Outcome = Outcome.FAILED,
    known: Iterable[str] = (),
) -> End:
    """A bad end that names what is left behind at providers."""
    left = list(dict.fromkeys([*known, *left_behind(tx, task)]))
    error: dict[str, Any] = {"code": code, "message": message}
    if left:
        error["left_behind"] = left
        message += f" Left behind: {'; '.join(left)}."
    return End(outcome, message, error=error)


def left_behind(tx: Transaction, parent: Task) -> Iterator[str]:
    """What the children have left at providers, one line each: every effect that was
    accepted and has ended, unless the provider itself said that it failed; and what a
    person chose to watch, which may be there."""
    children = tasks.children(tx, parent.id)
    effects = placeholders.of_tasks(tx, [child.id for child in children])
    for child in children:
        effect = effects.get(child.id)
        if effect is None:
            yield from left_behind(tx, child)
        elif effect.state is PlaceholderState.WATCHED:
            yield f"perhaps {_named(tx, effect, child)}"
        elif effect.state is PlaceholderState.SETTLED and _stays(effect, child):
            yield _named(tx, effect, child)


def _stays(effect: Placeholder, child: Task) -> bool:
    """True unless the provider, or a person, said that nothing came of it. A job may
    end well without a result; then its task tells."""
    well = child.outcome is not None and child.outcome.good
    return well or effect.result is not None or "left_behind" in (child.error or {})


def _named(tx: Transaction, effect: Placeholder, child: Task) -> str:
    where = inventory.name_of(tx, "provider", effect.provider_id)
    what = effect.result if isinstance(effect.result, str) else effect.external_id
    return f"{what or effect.operation} at {where} (“{child.title}”)"
