"""Claims: what our rows say of tokens that a sweep has met at a provider, and of what
should be there. Only read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.connector import EffectClass
from earmark.domain.states import Outcome, PlaceholderState, TaskState
from earmark.store import sends
from earmark.store.database import Transaction
from earmark.store.schema import (
    evidence,
    placeholders,
    snapshots,
    tasks,
    templates,
    tenants,
    tombstones,
)
from earmark.store.sends import Send

#: So many tokens are asked about at once.
_BATCH = 500
_GOOD = ("ok", "warned")
_GIVEN_UP = (
    PlaceholderState.WATCHED,
    PlaceholderState.ORPHAN,
    PlaceholderState.EXPLAINED,
)
#: What a tombstone says of an effect that was taken back.
UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Claim:
    """One promised effect, as far as it explains what is at a provider.

    `well`: it has ended, and its job well. `undone`: it was taken back. `tried_again`:
    it failed, and another was promised in its place. `undoes`: the token of what it
    takes back, of a step of an undo. `given_up`: a person stopped waiting for the step
    that takes it back. `over`: its whole task has ended.
    `quiet_at`: since when nothing about it has changed. `spare`: ids of which a probe
    said that they are one too many.
    """

    token: str
    provider_id: str
    task_id: str
    title: str
    operation: str
    state: PlaceholderState
    external_id: str | None
    result: Any
    outcome: str | None
    message: str
    well: bool
    undone: bool
    tried_again: bool
    undoes: str | None
    given_up: bool
    over: bool
    quiet_at: datetime
    sends: Sequence[Send]
    spare: frozenset[str]


def of_tokens(tx: Transaction, tokens: Collection[str]) -> dict[str, Claim]:
    """Token → what we have promised under it; tokens that no row has are left out."""
    found: dict[str, Claim] = {}
    for some in _batches(tokens):
        found |= _claims(tx, placeholders.c.id.in_(some))
    return found


def watched(tx: Transaction, provider_id: str) -> dict[str, Claim]:
    """Token → effect of which a person gave up waiting, and that is looked for."""
    return _claims(
        tx,
        placeholders.c.provider_id == provider_id,
        placeholders.c.state == PlaceholderState.WATCHED,
    )


def should_be_there(
    tx: Transaction, provider_id: str, operations: Collection[str]
) -> dict[str, Claim]:
    """Token → effect of these operations that ended well and made something, and that
    nothing of ours has taken away since, or was to take back."""
    again, step = placeholders.alias(), tasks.alias()
    made = _claims(
        tx,
        placeholders.c.provider_id == provider_id,
        placeholders.c.operation.in_(operations),
        placeholders.c.effect != EffectClass.ABSOLUTE,
        placeholders.c.state == PlaceholderState.SETTLED,
        placeholders.c.undone_at.is_(None),
        ~sa.exists().where(again.c.replaces_id == placeholders.c.id),
        ~sa.exists().where(step.c.undoes_id == placeholders.c.id),
        lean=True,
    )
    taken = _taken_away(tx, provider_id)
    return {
        token: claim
        for token, claim in made.items()
        if claim.well and not (isinstance(claim.result, str) and claim.result in taken)
    }


def _taken_away(tx: Transaction, provider_id: str) -> set[str]:
    """Provider's ids of what a command of ours has removed, or a whole listing lacked:
    the result of a removal is the id that is gone."""
    # Of the task, not of the effect: what was gone already was never asked for.
    query = (
        sa.select(tasks.c.result)
        .join(placeholders, placeholders.c.task_id == tasks.c.id)
        .where(
            placeholders.c.provider_id == provider_id,
            placeholders.c.effect == EffectClass.ABSOLUTE,
            tasks.c.outcome.in_(_GOOD),
            tasks.c.result.is_not(None),
        )
    )
    results = tx.execute(query).scalars()
    gone = {result for result in results if isinstance(result, str)}
    for table in (templates, tenants, snapshots):
        lacking = sa.select(table.c.external_id).where(
            table.c.provider_id == provider_id, table.c.gone_at.is_not(None)
        )
        gone.update(tx.execute(lacking).scalars())
    return gone


def tombs(tx: Transaction, tokens: Collection[str]) -> dict[str, str]:
    """Token → how its task ended and what it was, of what was deleted since."""
    found: dict[str, str] = {}
    for some in _batches(tokens):
        query = sa.select(tombstones.c.token, tombstones.c.what)
        rows = tx.execute(query.where(tombstones.c.token.in_(some)))
        found |= {row.token: row.what for row in rows}
    return found


def oldest_kept(tx: Transaction) -> str:
    """The id of the oldest task that is kept; what is older is history pruned."""
    oldest: str | None = tx.execute(sa.select(sa.func.min(tasks.c.id))).scalar_one()
    return oldest or ""


def _claims(
    tx: Transaction, *which: sa.ColumnElement[bool], lean: bool = False
) -> dict[str, Claim]:
    """The claims that fit; `lean` ones come without their sends and spares."""
    root, later = tasks.alias(), placeholders.alias()
    query = (
        sa.select(
            placeholders,
            tasks.c.title,
            tasks.c.outcome,
            tasks.c.message,
            tasks.c.undoes_id,
            root.c.state.label("root_state"),
            root.c.finished_at,
            _undone().label("undone"),
            _given_up().label("given_up"),
            sa.exists().where(later.c.replaces_id == placeholders.c.id).label("later"),
        )
        .join(tasks, tasks.c.id == placeholders.c.task_id)
        .join(root, root.c.id == placeholders.c.root_id)
        .where(*which)
    )
    rows = tx.execute(query).all()
    ids = [row.id for row in rows]
    made, spare = ({}, {}) if lean else (_sends(tx, ids), spares(tx, ids))
    return {
        row.id: _claim(row, made.get(row.id, []), spare.get(row.id, set()))
        for row in rows
    }


def _undone() -> sa.ColumnElement[bool]:
    """Taken back by a step of an undo: where its command said that nothing had to be
    done, what it made may be in use."""
    step = tasks.alias()
    return sa.exists().where(
        step.c.undoes_id == placeholders.c.id, step.c.outcome.in_(_GOOD)
    )


def _given_up() -> sa.ColumnElement[bool]:
    """What became of the step that takes it back, a person chose not to wait for."""
    step, effect = tasks.alias(), placeholders.alias()
    return (
        sa.exists()
        .where(step.c.undoes_id == placeholders.c.id)
        .where(effect.c.task_id == step.c.id, effect.c.state.in_(_GIVEN_UP))
    )


def came_to() -> sa.ColumnElement[str]:
    """How an effect itself ended, in a word for its tombstone: its task may have gone
    well at a later try, or well and been taken back."""
    return sa.case(
        (_undone(), UNDONE),
        (placeholders.c.ended_well.is_(True), tasks.c.outcome),
        (tasks.c.outcome.in_(_GOOD), str(Outcome.FAILED)),
        else_=tasks.c.outcome,
    )


def _claim(row: sa.Row[Any], made: Sequence[Send], spare: set[str]) -> Claim:
    state = PlaceholderState(row.state)
    # That a sweep has found it says nothing of when it was made.
    found = state in (PlaceholderState.ORPHAN, PlaceholderState.EXPLAINED)
    times = [
        None if found else row.updated_at,
        row.finished_at,
        *(it.over_at or it.sent_at for it in made),
    ]
    return Claim(
        token=row.id,
        provider_id=row.provider_id,
        task_id=row.task_id,
        title=row.title,
        operation=row.operation,
        state=state,
        external_id=row.external_id,
        result=row.result,
        outcome=row.outcome,
        message=row.message,
        well=state is PlaceholderState.SETTLED and row.ended_well,
        undone=row.undone,
        tried_again=row.later,
        undoes=row.undoes_id,
        given_up=row.given_up,
        over=row.root_state == TaskState.DONE,
        quiet_at=max(time for time in times if time is not None),
        sends=made,
        spare=frozenset(spare),
    )


def _sends(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Send]]:
    found: dict[str, list[Send]] = {}
    for some in _batches(ids):
        found |= sends.of_placeholders(tx, some)
    return found


def spares(tx: Transaction, ids: Collection[str]) -> dict[str, set[str]]:
    """Effect → ids of which a probe said that they are one too many; those without any
    are left out."""
    found: dict[str, set[str]] = {}
    for some in _batches(ids):
        query = sa.select(evidence.c.placeholder_id, evidence.c.external_id).where(
            evidence.c.placeholder_id.in_(some), evidence.c.kind == "orphan"
        )
        for row in tx.execute(query):
            found.setdefault(row.placeholder_id, set()).add(row.external_id or "")
    return found


def _batches(items: Collection[str]) -> Iterator[list[str]]:
    every = sorted(items)
    for start in range(0, len(every), _BATCH):
        yield every[start : start + _BATCH]
