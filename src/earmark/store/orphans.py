"""Orphans and sweeps: what was found at providers that nothing explains, and when each
provider was swept."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from earmark.domain.errors import UnknownName
from earmark.domain.ids import new_id
from earmark.domain.orphan import Missing, Orphan, OrphanState, Sweep, SweepState
from earmark.store import dialect
from earmark.store.database import Transaction
from earmark.store.schema import orphans, sweeps
from earmark.store.wakeups import Topic

_FIELDS = [orphans.c[name] for name in Orphan.__slots__]
_SWEEP = [sweeps.c[name] for name in Sweep.__slots__]
#: How many missing things are told in full; of the rest, how many there are.
MOST_MISSING = 100


def _orphan(row: sa.Row[Any]) -> Orphan:
    values = dict(row._mapping)
    return Orphan(**values | {"state": OrphanState(values["state"])})


def find(tx: Transaction, ref: str) -> Orphan:
    """An orphan by its id, or by 6 or more characters of its beginning or end that no
    other has, or by the provider's id of it; raises `UnknownName`."""
    exact = orphans.c.id == ref
    alike = sa.or_(exact, orphans.c.external_id == ref)
    if len(ref) >= 6 and ref.replace("-", "").isalnum():
        begins, ends = orphans.c.id.startswith(ref), orphans.c.id.endswith(ref)
        alike = sa.or_(alike, begins, ends)
    rows = tx.execute(
        sa.select(*_FIELDS).where(alike).order_by(orphans.c.id != ref).limit(2)
    ).all()
    if not rows or (len(rows) > 1 and rows[0].id != ref):
        which = "More than one orphan is" if rows else "There is no orphan"
        raise UnknownName(
            f"{which} {ref!r}.", hint="See `earmark orphans ls --all`; give its id."
        )
    return _orphan(rows[0])


def listed(
    tx: Transaction, provider_id: str | None = None, *, every: bool = False
) -> list[Orphan]:
    """Those that are open, or all, the newest first; of one provider if given."""
    query = sa.select(*_FIELDS).order_by(orphans.c.id.desc())
    if not every:
        query = query.where(sa.text("earmark_orphans.state = 'open'"))
    if provider_id is not None:
        query = query.where(orphans.c.provider_id == provider_id)
    return [_orphan(row) for row in tx.execute(query)]


def over(tx: Transaction, limit: int) -> list[Orphan]:
    """Those that nobody needs to decide about any more, what ended last first."""
    query = sa.select(*_FIELDS).where(orphans.c.state != OrphanState.OPEN)
    query = query.order_by(orphans.c.decided_at.desc(), orphans.c.id.desc())
    return [_orphan(row) for row in tx.execute(query.limit(limit))]


def count_open(tx: Transaction) -> int:
    """How many wait for a person."""
    query = sa.select(sa.func.count()).select_from(orphans)
    open_ = sa.text("earmark_orphans.state = 'open'")
    return int(tx.execute(query.where(open_)).scalar_one())


def lock(tx: Transaction, provider_id: str) -> dict[tuple[str, str], Orphan]:
    """Every orphan of a provider by kind and id there, those that are over too; nobody
    else writes them until we commit."""
    query = sa.select(*_FIELDS).where(orphans.c.provider_id == provider_id)
    rows = tx.execute(dialect.for_update(query.order_by(orphans.c.id)))
    return {(row.kind, row.external_id): _orphan(row) for row in rows}


def lock_one(tx: Transaction, orphan_id: str) -> Orphan:
    """One of them, as it is now; nobody else writes it until we commit."""
    query = sa.select(*_FIELDS).where(orphans.c.id == orphan_id)
    return _orphan(tx.execute(dialect.for_update(query)).one())


def insert(tx: Transaction, values: Mapping[str, Any]) -> None:
    """A new one, which is open."""
    blank = dict.fromkeys(("decided_by", "why", "decided_at"), None)
    row = {"id": new_id(), "state": OrphanState.OPEN, **blank, **values}
    tx.execute(sa.insert(orphans).values(**row))
    tx.wake(Topic.CHANGES)


def change(tx: Transaction, orphan_id: str, **values: Any) -> None:
    """Change one that is locked."""
    tx.execute(sa.update(orphans).where(orphans.c.id == orphan_id).values(**values))
    tx.wake(Topic.CHANGES)


def touch(tx: Transaction, ids: Sequence[str], seen_at: datetime) -> None:
    """They were shown again, and nothing else is new."""
    if ids:
        tx.execute(
            sa.update(orphans).where(orphans.c.id.in_(ids)).values(last_seen_at=seen_at)
        )


def sweep_of(tx: Transaction, provider_id: str) -> Sweep:
    """The newest sweep of a provider."""
    return newest_sweeps(tx, [provider_id])[provider_id]


def newest_sweeps(tx: Transaction, provider_ids: Iterable[str]) -> dict[str, Sweep]:
    """The newest sweep of each of these."""
    ids = list(provider_ids)
    found = {
        row.provider_id: _read_sweep(row)
        for row in tx.execute(sa.select(*_SWEEP).where(sweeps.c.provider_id.in_(ids)))
    }
    return {it: found.get(it) or _never(it) for it in ids}


def _never(provider_id: str) -> Sweep:
    return Sweep(provider_id, SweepState.NEVER, "", None, 0, 0, 0, 0, 0, ())


def _read_sweep(row: sa.Row[Any]) -> Sweep:
    values = dict(row._mapping)
    values["state"] = SweepState(values["state"])
    values["missing"] = tuple(
        Missing(**it | {"since": datetime.fromisoformat(it["since"])})
        for it in values["missing"]
    )
    return Sweep(**values)


def open_sweep(tx: Transaction, provider_id: str) -> Sweep:
    """The provider's row, which is made if there is none; nobody else writes it until
    we commit."""
    blank = {name: getattr(_never(provider_id), name) for name in Sweep.__slots__}
    blank |= {"due_at": None, "missing": []}
    dialect.insert_new(tx.connection, sweeps, blank)
    query = sa.select(*_SWEEP).where(sweeps.c.provider_id == provider_id)
    return _read_sweep(tx.execute(dialect.for_update(query)).one())


def write_sweep(tx: Transaction, sweep: Sweep) -> None:
    """Keep how a sweep went; the row is open."""
    values = {name: getattr(sweep, name) for name in Sweep.__slots__}
    values["missing"] = [
        {name: getattr(it, name) for name in Missing.__slots__}
        | {"since": it.since.isoformat()}
        for it in sweep.missing[:MOST_MISSING]
    ]
    tx.execute(
        sa.update(sweeps)
        .where(sweeps.c.provider_id == sweep.provider_id)
        .values(**values)
    )
    tx.wake(Topic.CHANGES)


def sweeps_due(
    tx: Transaction, provider_ids: Iterable[str], next_at: datetime
) -> list[str]:
    """Those of the providers whose sweep is due; they are due again at `next_at`, and
    so are those that are new."""
    due = []
    for provider_id in provider_ids:
        open_sweep(tx, provider_id)
        row = sweeps.c.provider_id == provider_id
        at = tx.execute(sa.select(sweeps.c.due_at).where(row)).scalar_one()
        if at is not None and at > tx.now:
            continue
        if at is not None:
            due.append(provider_id)
        tx.execute(sa.update(sweeps).where(row).values(due_at=next_at))
    return due
