"""What tasks may have caused at providers, with all that was seen of it."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from earmark.domain.task import Placeholder, Task
from earmark.engine.resolve import choices
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
    stopping = {task.id for task in shown if task.stop_requested}
    found: dict[str, tuple[PlaceholderView, ...]] = {}
    for effect in effects:
        asked_to_stop = effect.task_id in stopping
        view = _view(effect, evidence.get(effect.id, ()), asked_to_stop)
        found[effect.task_id] = (*found.get(effect.task_id, ()), view)
    return found


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
    stopping: bool,
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
        choices=tuple(
            ChoiceView(it.decision, it.label, it.text)
            for it in choices(effect, stopping)
        ),
        handle=effect.external_id or (named[-1] if named else None),
    )
