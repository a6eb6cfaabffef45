"""Forget: ended tasks that nobody needs any more go, with all their parts, and a
tombstone stays. What a retry, a watch or something left behind refers to is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

from earmark.domain.errors import Rejected
from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store import history, journal, notifications, tasks
from earmark.store.database import Transaction

#: Roots in one transaction: on SQLite nobody else writes meanwhile.
BATCH = 100
_UNTOLD = "Somebody is still to be told that it failed."
_RETRIED = "A later task tries it again; delete that one first."


@dataclass(slots=True)
class Pruned:
    """How many roots are gone, and how many were kept, by the reason."""

    forgotten: int = 0
    kept: dict[str, int] = field(default_factory=dict)


def refusals(tx: Transaction, asked: Sequence[Task]) -> dict[str, str]:
    """Task → why it cannot be deleted, in words; those that can be are left out."""
    parts = {
        task.id: "It is a part of another task; delete that one."
        for task in asked
        if not task.is_root
    }
    roots = [task.id for task in asked if task.is_root]
    return _kept(tx, roots, set()) | parts


def _kept(
    tx: Transaction,
    roots: Sequence[str],
    gone: set[str],
    besides: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Root → why it is kept, in words; some of them `besides`. What a retry refers to
    is kept with it, unless that is among the `gone`: they are deleted too."""
    kept = dict(besides) | history.obstacles(tx, roots)
    links = history.retries(tx, roots)
    while True:
        held = {it for it, later in links if later not in gone or later in kept}
        if held <= kept.keys():
            return kept
        kept = dict.fromkeys(held, _RETRIED) | kept


def forget(engine: Engine, task_id: str, who: str) -> None:
    """Delete an ended root with all its parts, logs, effects and evidence, all or
    nothing. Raises `UnknownName`, `Rejected` with the reason."""

    def work(tx: Transaction) -> None:
        task = tasks.lock_family(tx, task_id)
        why_not = refusals(tx, [task]).get(task.id)
        if why_not:
            raise Rejected(why_not, code="kept")
        _delete(tx, [task.id], who)

    engine.write(work)


def prune(
    engine: Engine, older_than: timedelta, who: str, *, dry_run: bool = False
) -> Pruned:
    """Delete the roots that ended longer ago than that, the latest first, so that a
    retry goes before what it tried again. In batches: it can be stopped at any time."""
    before = engine.read(lambda tx: tx.now) - older_than
    pruned, gone = Pruned(), set[str]()
    after: tuple[datetime, str] | None = None
    while True:
        batch = engine.read(partial(_batch, before=before, after=after))
        if not batch:
            return pruned
        after = batch[-1]
        work = partial(_prune, roots=[it for _, it in batch], who=who, gone=gone)
        if dry_run:
            kept = engine.read(partial(work, dry_run=True))
        else:
            kept = engine.write(partial(work, dry_run=False))
        if dry_run:  # else they are not there any more, to be asked about
            gone |= {root for _, root in batch} - kept.keys()
        pruned.forgotten += len(batch) - len(kept)
        for why in kept.values():
            pruned.kept[why] = pruned.kept.get(why, 0) + 1


def _batch(
    tx: Transaction, *, before: datetime, after: tuple[datetime, str] | None
) -> list[tuple[datetime, str]]:
    return history.ended_before(tx, before, after, BATCH)


def _prune(
    tx: Transaction, *, roots: Sequence[str], who: str, gone: set[str], dry_run: bool
) -> dict[str, str]:
    there = roots if dry_run else list(tasks.lock(tx, roots))
    untold = dict.fromkeys(notifications.bad_ones(tx, there), _UNTOLD)
    kept = _kept(tx, there, gone | set(there), untold)
    if not dry_run:
        _delete(tx, [root for root in there if root not in kept], who)
    return kept


def _delete(tx: Transaction, roots: Sequence[str], who: str) -> None:
    if roots:
        history.delete(tx, roots)
        journal.note_many(tx, who, "delete", roots)
