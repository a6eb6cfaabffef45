"""What tasks may have caused at providers, with all that was seen of it."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from earmark.domain.states import PlaceholderState, TaskState
from earmark.domain.task import Placeholder, Task
from earmark.engine.resolve import Choice, choices
from earmark.store import placeholders, schema
from earmark.store.database import Transaction
from earmark.web.views import ChoiceView, EvidenceView, PlaceholderView


def promises(
    tx: Transaction, shown: Sequence[Task]
) -> dict[str, tuple[PlaceholderView, ...]]:
    """Every promise of these tasks, the replaced ones too, with its evidence."""
    table = schema.placeholders
    query = (
        sa.select(*(table.c[name] for name in Placeholder.__slots__))
        .where(table.c.task_id.in_([task.id for task in shown]))
        .order_by(table.c.id)
    )
    effects = [placeholders.from_row(row) for row in tx.execute(query)]
    evidence = _evidence(tx, [effect.id for effect in effects])
    found: dict[str, tuple[PlaceholderView, ...]] = {}
    newest = {effect.task_id: effect.id for effect in effects}
    tasks = {task.id: task for task in shown}
    for effect in effects:
        # About a promise that was replaced there is nothing to decide.
        decides = newest[effect.task_id] == effect.id
        open_to = choices(tasks[effect.task_id], effect) if decides else ()
        view = _view(effect, evidence.get(effect.id, ()), open_to)
        found[effect.task_id] = (*found.get(effect.task_id, ()), view)
    for task in shown:
        if task.state is TaskState.HELD and task.id not in found:
            found[task.id] = (_unplanned(task),)
    return found


def _unplanned(root: Task) -> PlaceholderView:
    """A root whose undo could not be planned: that is no promise, but to be decided."""
    return PlaceholderView(
        id=root.id,
        operation="",
        effect_class="",
        state=PlaceholderState.HELD,
        external_id=None,
        first_sent_at=None,
        next_check_at=None,
        evidence=(),
        choices=_shown(choices(root, None)),
        handle=None,
    )


def _evidence(
    tx: Transaction, ids: Sequence[str]
) -> dict[str, Sequence[sa.Row[tuple[object, ...]]]]:
    if not ids:
        return {}
    pieces = schema.evidence
    query = sa.select(pieces).where(pieces.c.placeholder_id.in_(ids))
    found = defaultdict(list)
    for piece in tx.execute(query.order_by(pieces.c.id)):
        found[piece.placeholder_id].append(piece)
    return dict(found)


def _view(
    effect: Placeholder,
    seen: Sequence[sa.Row[tuple[object, ...]]],
    open_to: Sequence[Choice],
) -> PlaceholderView:
    named = [it.external_id for it in seen if it.external_id]
    return PlaceholderView(
        id=effect.id,
        operation=effect.operation,
        effect_class=effect.effect,
        state=effect.state,
        external_id=effect.external_id,
        first_sent_at=effect.first_sent_at,
        next_check_at=effect.next_check_at,
        evidence=tuple(EvidenceView(it.at, it.kind, it.text) for it in seen),
        choices=_shown(open_to),
        handle=effect.external_id or (named[-1] if named else None),
    )


def _shown(open_to: Sequence[Choice]) -> tuple[ChoiceView, ...]:
    return tuple(ChoiceView(it.decision, it.label, it.text) for it in open_to)
