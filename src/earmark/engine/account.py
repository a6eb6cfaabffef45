"""Account: what explains a thing that a sweep has met at a provider. Pure: no I/O.

Only what is past its horizon, and whose whole task has ended, can be an orphan: until
then somebody is still finding out about it. What is explained stays out of the ledger;
what is not comes with the likely story, in plain words.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from earmark.domain.connector import Operation
from earmark.domain.ids import first_id
from earmark.domain.mark import MarkedThing
from earmark.domain.states import Outcome, PlaceholderState
from earmark.store import claims
from earmark.store.claims import Claim

_P = PlaceholderState


class Verdict(Enum):
    """What a sweep concludes about one thing."""

    EXPLAINED = auto()
    #: Too new to be judged, or its task has not ended.
    YOUNG = auto()
    #: Older than our history: nothing can be said about it.
    PRUNED = auto()
    ORPHAN = auto()


@dataclass(frozen=True, slots=True)
class Account:
    """A verdict, with the likely story of an orphan."""

    verdict: Verdict
    story: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What our rows say about one token: its effect, or its tombstone's words; the
    oldest task that is kept, for tokens that have neither. `makes`: the operations
    whose result is the id of the thing that they make."""

    token: str
    claim: Claim | None
    tomb: str | None
    oldest: str
    makes: Collection[str]


def horizon(operation: Operation) -> timedelta:
    """How long after the last word about an effect its provider may still show
    something else than what there is."""
    return operation.visibility_lag + operation.longest_way


def account(
    things: Sequence[MarkedThing], known: Known, began: datetime, after: timedelta
) -> list[Account]:
    """Account for everything that carries one token of ours, shown by a listing that
    began then; `after` is the horizon."""
    claim = known.claim
    if claim is None:
        return [_unclaimed(known, began, after) for _ in things]
    settled = claim.well and claim.state is _P.SETTLED
    stays = settled and not claim.undone and not claim.given_up
    ours = _ours(things, claim, known.makes) if stays else frozenset()
    young = not claim.over or began < claim.quiet_at + after
    found = []
    for thing in things:
        if thing.id in ours:
            found.append(Account(Verdict.EXPLAINED))
        elif young or thing.under_way:
            found.append(Account(Verdict.YOUNG))
        else:
            found.append(Account(Verdict.ORPHAN, _story(thing, claim, bool(ours))))
    return found


def _unclaimed(known: Known, began: datetime, after: timedelta) -> Account:
    """Of a token that no row has."""
    outcome, _, title = (known.tomb or "").partition(": ")
    if outcome in (Outcome.OK, Outcome.WARNED):
        return Account(Verdict.EXPLAINED)
    if known.tomb is not None:
        ended = "was taken back" if outcome == claims.UNDONE else f"ended as {outcome}"
        story = (
            f"“{title}” {ended} and was deleted from our history since; yet this is "
            "there."
        )
        return Account(Verdict.ORPHAN, story)
    if known.token < known.oldest:
        return Account(Verdict.PRUNED)
    if known.token >= first_id(began - after):
        return Account(Verdict.YOUNG)
    return Account(
        Verdict.ORPHAN,
        "No row of ours knows the request that made it, though it is younger than our "
        "oldest task. A store that was put back from a copy, or a failover that lost "
        "its last commits, forgets like that. Or a copy of this database was at work "
        "under our id: `earmark db copied` was not said there.",
    )


def _ours(
    things: Sequence[MarkedThing], claim: Claim, makes: Collection[str]
) -> frozenset[str]:
    """The ids of what a good effect explains: what its result names. Where the result
    is no id, the first that was made; every further one is one too many."""
    named = {claim.external_id, *_texts(claim.result)}
    ours = frozenset(thing.id for thing in things if thing.id in named)
    is_id = claim.operation in makes and isinstance(claim.result, str)
    if ours or is_id:
        return ours
    rest = [thing for thing in things if thing.id not in claim.spare]
    first = sorted(rest, key=lambda it: (it.created_at or _LATE, it.id))[:1]
    return frozenset(thing.id for thing in first)


_LATE = datetime.max.replace(tzinfo=UTC)


def _texts(result: Any) -> Iterator[str]:
    if isinstance(result, str):
        yield result
    elif isinstance(result, dict):
        for value in result.values():
            yield from _texts(value)
    elif isinstance(result, list):
        for value in result:
            yield from _texts(value)


def _story(thing: MarkedThing, claim: Claim, has_other: bool) -> str:
    what = f"“{claim.title}”"
    match claim.state:
        case _P.WATCHED | _P.ORPHAN:
            return (
                f"Somebody stopped waiting for {what}, whose answer was lost; its "
                "request did arrive."
            )
        case _P.EXPLAINED:
            return (
                f"Somebody stopped waiting for {what}, and it was not there past its "
                "horizon; its request arrived later than its provider promises."
            )
        case _P.REFUSED:
            return f"The provider refused {what}, and made it all the same."
        case _P.DROPPED | _P.PLANNED:
            return (
                f"{what} was given up, and as far as we know nothing of it was sent "
                "any more; yet its request arrived."
            )
    if claim.given_up:
        return (
            f"Somebody stopped waiting for the taking back of {what}; it is still "
            "there."
        )
    if claim.undone:
        return f"{what} was taken back, and nothing of it was left. Yet this is there."
    if claim.well:
        return _too_many(thing, claim, has_other)
    if claim.tried_again:
        return f"A try of {what} failed, and left this; a later try took its place."
    ended = f"{what} ended as {claim.outcome}"
    said = f": {claim.message.rstrip('.')}" if claim.message else ""
    return f"{ended}{said}. Yet this is there."


def _too_many(thing: MarkedThing, claim: Claim, has_other: bool) -> str:
    what = f"“{claim.title}”"
    noted = " A probe saw it then." if thing.id in claim.spare else ""
    if has_other:
        return (
            f"The provider made more than one for the one request of {what}; it did "
            f"not recognise the token. This one is not the one that we use.{noted}"
        )
    return (
        f"{what} ended well and made {claim.result}, which is not shown any more; this "
        f"is another one with the same token.{noted}"
    )
