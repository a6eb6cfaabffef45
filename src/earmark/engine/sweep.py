"""Sweep: what a provider shows with a mark, against what our rows say, both ways.

The provider was listed before these rows are read: what the listing shows had its rows
then, so whatever they explain by now is no orphan (rule 17). Tag → row: what is ours
and explained by nothing goes into the ledger of orphans. Row → tag: what a command of
ours made, and the provider does not show, is told and nothing more. What carries
another installation's mark is counted, and left alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from earmark.domain.connector import EffectClass, Operation
from earmark.domain.errors import Stale
from earmark.domain.mark import MarkedThing
from earmark.domain.orphan import Missing, Orphan, OrphanState, Sweep, SweepState
from earmark.domain.states import PlaceholderState
from earmark.engine.account import Account, Known, Verdict, account, horizon
from earmark.engine.authored import clean
from earmark.engine.runtime import Engine
from earmark.store import claims, inventory, journal, orphans, placeholders
from earmark.store.claims import Claim
from earmark.store.database import Transaction
from earmark.store.sends import landed_by

_P = PlaceholderState
_AGAIN = "It was gone once, and is shown again. "
_STILL = "It was destroyed, and is shown still. "


@dataclass(frozen=True, slots=True)
class Shown:
    """What a provider showed: everything with a mark, when the listing began, and which
    operation makes which kind of what it shows."""

    provider_id: str
    things: Sequence[MarkedThing]
    began: datetime
    makes: Mapping[str, str]


def sweepable(engine: Engine, kind: str) -> bool:
    """Whether anything is ever made at this kind of provider, as far as it declares."""
    connector = engine.connectors.get(kind)
    operations = connector.operations.values() if connector else ()
    return any(it.effect is not EffectClass.ABSOLUTE for it in operations)


def sweep(engine: Engine, tx: Transaction, shown: Shown) -> str:
    """Write down what a listing shows; returns the summary in words. A listing that
    began before one that was written down already changes nothing (rule 18)."""
    before = orphans.open_sweep(tx, shown.provider_id)
    if before.began_at is not None and before.began_at >= shown.began:
        return "A newer sweep was first; this one changed nothing."
    kind = inventory.provider(tx, shown.provider_id).kind
    operations = engine.connector(kind).operations
    ours = [it for it in shown.things if it.mark.installation == engine.installation]
    accounts = _accounts(tx, shown, ours, operations)
    _enter(tx, shown, accounts, operations)
    _look_for_watched(tx, shown, ours, operations)
    missing = list(_missing(tx, shown, operations))
    count = [it.verdict for _, it, _ in accounts].count
    found = Sweep(
        provider_id=shown.provider_id,
        state=SweepState.OK,
        message="",
        began_at=shown.began,
        seen=len(ours),
        others=len(shown.things) - len(ours),
        young=count(Verdict.YOUNG),
        pruned=count(Verdict.PRUNED),
        missing_count=len(missing),
        missing=tuple(missing),
    )
    orphans.write_sweep(tx, found)
    return summary(found, len(orphans.listed(tx, shown.provider_id)))


def summary(found: Sweep, open_orphans: int, *, later: bool = False) -> str:
    """What a sweep has found, in one line; `later`, when some of its orphans may have
    been decided about since, with those that are open now."""
    word = "orphan" if open_orphans == 1 else "orphans"
    parts = [
        f"{found.seen} with our mark",
        f"{open_orphans} {word}{' open now' if later else ''}",
        f"{found.missing_count} missing" if found.missing_count else "",
        f"{found.others} of another installation" if found.others else "",
        f"{found.young} too new to be judged" if found.young else "",
        f"{found.pruned} older than our history" if found.pruned else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def could_not(
    tx: Transaction, provider_id: str, state: SweepState, message: str
) -> None:
    """A sweep did not come about; what the one before it found stays."""
    before = orphans.open_sweep(tx, provider_id)
    told = replace(before, state=state, message=clean(message))
    orphans.write_sweep(tx, told)


_Told = tuple[MarkedThing, Account, Claim | None]


def known_of(
    tx: Transaction, tokens: set[str], makes: Mapping[str, str]
) -> dict[str, Known]:
    """What our rows say about each token."""
    claimed = claims.of_tokens(tx, tokens)
    tombs = claims.tombs(tx, tokens - claimed.keys())
    oldest = claims.oldest_kept(tx)
    return {
        token: Known(token, claimed.get(token), tombs.get(token), oldest, set(makes))
        for token in tokens
    }


def horizon_of(claim: Claim | None, operations: Mapping[str, Operation]) -> timedelta:
    """The horizon of one effect; of an unknown one, the longest there is."""
    operation = operations.get(claim.operation) if claim else None
    if operation is not None:
        return horizon(operation)
    return max((horizon(it) for it in operations.values()), default=timedelta(0))


def _accounts(
    tx: Transaction,
    shown: Shown,
    ours: Sequence[MarkedThing],
    operations: Mapping[str, Operation],
) -> list[_Told]:
    by_token: dict[str, list[MarkedThing]] = defaultdict(list)
    for thing in ours:
        by_token[thing.mark.token].append(thing)
    told: list[_Told] = []
    for token, known in known_of(tx, set(by_token), shown.makes).items():
        things, claim = by_token[token], known.claim
        if claim is not None and claim.provider_id != shown.provider_id:
            # The same site under two names: its own sweep judges it.
            told += [(it, Account(Verdict.EXPLAINED), claim) for it in things]
            continue
        after = horizon_of(claim, operations)
        found = account(things, known, shown.began, after)
        told += [(it, one, claim) for it, one in zip(things, found, strict=True)]
    return told


def _enter(
    tx: Transaction,
    shown: Shown,
    told: Sequence[_Told],
    operations: Mapping[str, Operation],
) -> None:
    """Bring the ledger up to date: new ones in, and those that are gone marked so."""
    ledger = orphans.lock(tx, shown.provider_id)
    seen: list[str] = []
    for thing, it, claim in told:
        row = ledger.pop((thing.kind, thing.id), None)
        if row is not None:
            seen.append(row.id)
        if it.verdict is Verdict.ORPHAN:
            after = horizon_of(claim, operations)
            _enter_one(tx, shown, thing, it.story, claim, row, after)
        elif it.verdict is Verdict.EXPLAINED and row is not None and row.open:
            story = f"Explained by now. Before: {row.story}"
            _over(tx, row, OrphanState.GONE, story)
    orphans.touch(tx, seen, shown.began)
    for row in ledger.values():
        if row.open:
            _over(tx, row, OrphanState.GONE, row.story)


def _enter_one(
    tx: Transaction,
    shown: Shown,
    thing: MarkedThing,
    story: str,
    claim: Claim | None,
    row: Orphan | None,
    after: timedelta,
) -> None:
    if row is None:
        values = {
            "provider_id": shown.provider_id,
            "kind": thing.kind,
            "external_id": thing.id,
            "name": clean(thing.name),
            "token": thing.mark.token,
            "story": clean(story),
            "task_id": claim.task_id if claim else None,
            "created_at": thing.created_at,
            "first_seen_at": shown.began,
            "last_seen_at": shown.began,
        }
        orphans.insert(tx, values)
        return
    destroyed = row.state is OrphanState.DESTROYED
    if destroyed and shown.began <= (row.decided_at or shown.began) + after:
        return  # a listing may lag behind what was destroyed
    if destroyed or row.state is OrphanState.GONE:
        back = (_STILL if destroyed else _AGAIN) + clean(story)
        orphans.change(tx, row.id, state=OrphanState.OPEN, story=back)


def _over(tx: Transaction, row: Orphan, state: OrphanState, story: str) -> None:
    orphans.change(tx, row.id, state=state, story=story, decided_at=tx.now)


def _look_for_watched(
    tx: Transaction,
    shown: Shown,
    ours: Sequence[MarkedThing],
    operations: Mapping[str, Operation],
) -> None:
    """What a person stopped waiting for is found, or provably absent; else it stays
    watched (`domain/states.py`)."""
    by_token: dict[str, list[MarkedThing]] = defaultdict(list)
    for thing in ours:
        by_token[thing.mark.token].append(thing)
    for token, claim in claims.watched(tx, shown.provider_id).items():
        if claim.undoes is not None and claim.operation not in shown.makes:
            _look_for_untaken(tx, shown, claim, by_token[claim.undoes], operations)
            continue
        there = [it for it in by_token[token] if not it.under_way]
        if there:
            ids = ", ".join(it.id for it in there)
            text = f"A sweep found it at the provider: {ids}. It is an orphan."
            _end_watch(tx, claim, _P.ORPHAN, text, there[0].id)
        elif not by_token[token] and _absent(shown, claim, operations):
            text = "A sweep did not find it, and it can no longer arrive."
            _end_watch(tx, claim, _P.EXPLAINED, text, None)


def _look_for_untaken(
    tx: Transaction,
    shown: Shown,
    step: Claim,
    things: Sequence[MarkedThing],
    operations: Mapping[str, Operation],
) -> None:
    """A step of an undo makes nothing: what it takes back tells of its end, where
    the provider shows such things."""
    made = placeholders.get(tx, str(step.undoes))
    involved = [operations.get(it.operation) for it in (step, made)]
    listed = made.provider_id == shown.provider_id and made.operation in shown.makes
    if not listed or not step.over or not _past(shown, step, involved):
        return
    there = [it for it in things if not it.under_way]
    if there:
        ids = ", ".join(it.id for it in there)
        text = f"A sweep shows that it is still there: {ids}. It is an orphan."
        _end_watch(tx, step, _P.ORPHAN, text, there[0].id)
    elif not things:
        _end_watch(tx, step, _P.EXPLAINED, "A sweep shows that it is gone.", None)


def _absent(shown: Shown, claim: Claim, operations: Mapping[str, Operation]) -> bool:
    """True when an effect that is not shown can be nowhere: not for what the provider
    had accepted, whose job may only be forgotten, or for what it does not show."""
    if claim.operation not in shown.makes or claim.external_id is not None:
        return False
    return _past(shown, claim, [operations.get(claim.operation)])


def _past(shown: Shown, claim: Claim, involved: Sequence[Operation | None]) -> bool:
    """True when a listing shows for good what became of an effect, past the horizons of
    its own operation, the first, and of the others that are involved."""
    known = [it for it in involved if it is not None]
    if len(known) < len(involved):
        return False
    landed = landed_by(claim.sends, known[0].max_in_flight)
    if landed is None:
        return False
    past = claim.quiet_at + max(map(horizon, known))
    return shown.began >= max(past, landed + max(it.visibility_lag for it in known))


def _end_watch(
    tx: Transaction, claim: Claim, to: PlaceholderState, text: str, found: str | None
) -> None:
    effect = placeholders.get(tx, claim.token)
    try:
        placeholders.move(tx, effect, to)
    except (Stale, ValueError):
        return  # somebody else was first
    placeholders.witness(tx, effect.id, "sweep", text, external_id=found)
    journal.log(tx, claim.task_id, text, "warning" if found else "info")


def _missing(
    tx: Transaction,
    shown: Shown,
    operations: Mapping[str, Operation],
) -> Iterator[Missing]:
    """What our rows say is there, past its lag, and is not shown."""
    ids = {it.id for it in shown.things}
    # Also with another mark: of a copied database, what the original had made.
    tokens = {it.mark.token for it in shown.things}
    due = claims.should_be_there(tx, shown.provider_id, set(shown.makes))
    for token, claim in sorted(due.items()):
        if claim.given_up:
            continue  # it was being taken back
        named = isinstance(claim.result, str)
        if (claim.result in ids) if named else (token in tokens):
            continue
        if shown.began < claim.quiet_at + horizon_of(claim, operations):
            continue
        yield Missing(
            kind=shown.makes[claim.operation],
            external_id=str(claim.result if named else claim.external_id or ""),
            token=token,
            task_id=claim.task_id,
            title=claim.title,
            since=claim.quiet_at,
        )
