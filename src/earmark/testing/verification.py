"""Verify: every schedule that a command's author should see it survive."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain
from operator import methodcaller
from typing import Any

from earmark.domain.authoring import Tx
from earmark.domain.command import Command
from earmark.domain.connector import EffectClass
from earmark.domain.errors import BadInput
from earmark.engine.boundary import BOUNDARIES
from earmark.testing.instants import boundaries
from earmark.testing.report import Report, VerificationFailed
from earmark.testing.schedule import Fault, Schedule, parse, share_of
from earmark.testing.trials import Trials, trials_of
from earmark.testing.wire import Seen
from earmark.testing.world import World

_LOOK_BEGINS = (".find begins", ".find_many begins")
#: A single disturbance, with how many instants and reads the run then met.
Single = tuple[Schedule, int, int]
#: So often: a plan that others are in the way of never comes as far as its undo.
_MOST = 4


def verify(
    command: Command[Any] | Callable[[], Command[Any]],
    world: World | None = None,
    *,
    worlds: Mapping[str, World] | None = None,
    given: Callable[[Tx], None] = lambda tx: None,
    may_leave: Iterable[type[Command[Any]] | str] = (),
    schedules: int = 40,
    seed: int = 1,
    share: int = 1,
    replay: str | None = None,
    check: bool = True,
) -> Report:
    """Run a command again and again, let everything go wrong on the way, and see that
    it keeps its promise.

    `command`: one, or what makes one; its provider is named "world", or as in `worlds`
    where it needs several. `given`: writes rows of ours that must be there before.
    `may_leave`: commands whose effects may stay when the whole fails.

    First each call of a client inside `send` is dropped, loses its reply, arrives late,
    arrives twice where the class allows it, and is refused; each read is cut, and each
    `finish` raises; what is taken back is so again beside what others have that looks
    the same. Then the worker is killed at every instant, and the command is cancelled
    at every boundary, and in doubt. Then pairs of these are drawn: so many `schedules`,
    with this `seed`. It ends where something was found. `replay`: only that schedule.
    `share`: of so many reads, instants and boundaries that have the same name only one,
    since a big plan meets the same again and again.

    Raises `VerificationFailed` with the report when something was found, unless `check`
    is False; `BadInput` and `Rejected` when the command cannot be asked for at all.
    """
    # For pytest: what failed is the author's, and the report says how.
    __tracebackhide__ = methodcaller("errisinstance", VerificationFailed)
    named = _named(world, worlds)
    if share < 1:
        raise BadInput(f"share={share}: one in so many; 1 is all.", hint="share=5")
    make = command if not isinstance(command, Command) else lambda: command
    leavable = {one if isinstance(one, str) else one.__name__ for one in may_leave}
    began = time.monotonic()
    with trials_of(make, named, given, leavable) as trials:
        if replay is not None:
            _one(trials, parse(replay))
        else:
            _every(trials, schedules, seed, share)
        report = Report(
            command=type(make()).__name__,
            schedules=trials.tried,
            kills=trials.kills,
            effects=trials.effects,
            held=trials.held,
            why_held=tuple(trials.why_held),
            seed=seed,
            seconds=time.monotonic() - began,
            findings=tuple(trials.findings),
            untried=tuple(trials.untried) if replay is None else (),
        )
    if check and not report.ok:
        raise VerificationFailed(report)
    return report


def _named(
    world: World | None, worlds: Mapping[str, World] | None
) -> Mapping[str, World]:
    if worlds is None and world is None:
        raise BadInput("verify needs a world to run in.", hint="verify(…, world=…)")
    return {"world": world, **(worlds or {})} if world is not None else worlds or {}


def _one(trials: Trials, schedule: Schedule) -> None:
    """One disturbance, after the run that it is held against."""
    trials.undisturbed()
    if schedule != Schedule():
        trials.run(schedule)


def _every(trials: Trials, most: int, seed: int, share: int) -> None:
    """Each disturbance alone, then pairs of them."""
    met, seen = trials.undisturbed(), trials.seen
    if not trials.well:
        return  # what does not go well alone shows nothing more when it is disturbed
    singles: list[Single] = []
    lost: list[tuple[Schedule, list[str]]] = []
    kills, cancels = _kills(met, share), _cancels(met, share)
    ends = chain(kills, cancels, _cancels_in_doubt(lost))
    for phase in (_faults(seen, share), ends):
        undone: list[tuple[Schedule, AbstractSet[str]]] = []
        for schedule in phase:
            instants = trials.run(schedule)
            if schedule.faults and schedule.faults[0][0] is Fault.LOSE:
                lost.append((schedule, instants))
            singles.append((schedule, len(instants), len(trials.seen.reads)))
            if trials.takers:
                undone.append((schedule, set(trials.takers)))
        if not trials.findings:
            _beside_others(trials, undone)
        if trials.findings:
            return  # more would be consequences, or hard to tell from them
    for schedule in _drawn(singles, most, seed):
        trials.run(schedule)


def _beside_others(
    trials: Trials, undone: Sequence[tuple[Schedule, AbstractSet[str]]]
) -> None:
    """What took something back does so again where others have what looks the same. The
    last schedules took back the most."""
    for schedule, takers in undone[: -_MOST - 1 : -1]:
        if not schedule.strangers and not takers.isdisjoint(trials.untried):
            trials.run(replace(schedule, strangers=True))


def _faults(seen: Seen, share: int) -> Iterator[Schedule]:
    """Every call goes wrong in every way, once."""
    for number, (_, sending) in enumerate(seen.changes, start=1):
        effect = EffectClass(sending.effect)
        for fault in (Fault.DROP, Fault.LOSE, Fault.LATE, Fault.REFUSE):
            yield Schedule(faults=((fault, number),))
        if effect in (EffectClass.TOKEN, EffectClass.IDENTITY):
            yield Schedule(faults=((Fault.REPEAT, number),))
        if effect is not EffectClass.ABSOLUTE:
            yield Schedule(faults=((Fault.DROP, number),), strangers=True)
            yield Schedule(faults=((Fault.LOSE, number),), strangers=True)
    for fault, calls in ((Fault.CUT, seen.reads), (Fault.FINISH, seen.finishes)):
        for number in share_of(calls, share):
            yield Schedule(faults=((fault, number + 1),))


def _kills(met: list[str], share: int) -> Iterator[Schedule]:
    """At every instant; a request that was about to leave may land late."""
    for number in share_of(met, share):
        yield Schedule((number,))
        if met[number].endswith(" leaves"):
            yield Schedule((number,), late=True)


def _cancels(met: list[str], share: int) -> Iterator[Schedule]:
    for number in share_of((name for name in met if name in BOUNDARIES), share):
        yield Schedule(cancel_at=number)


def _cancels_in_doubt(
    lost: Iterable[tuple[Schedule, list[str]]],
) -> Iterator[Schedule]:
    """Right before the first look: what that does not show is not sent again then."""
    for schedule, met in list(lost):
        looks = (n for n, name in enumerate(met) if name.endswith(_LOOK_BEGINS))
        if not schedule.strangers and (first := next(looks, 0)):
            yield replace(schedule, cancel_at=boundaries(met[:first]) - 1)


def _drawn(singles: list[Single], most: int, seed: int) -> Iterator[Schedule]:
    """A disturbance, and a second one in what then happens: a kill, or a cut."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    for _ in range(most):
        first, instants, reads = chosen.choice(singles)
        if reads and chosen.random() < 0.3:
            cut = (Fault.CUT, chosen.randint(1, reads))
            yield Schedule(
                first.kills,
                first.late,
                first.cancel_at,
                (*first.faults, cut),
                first.strangers,
            )
            continue
        begin = first.kills[-1] + 1 if first.kills else 0
        second = chosen.randrange(begin, max(instants, begin + 1))
        yield Schedule(
            (*first.kills, second),
            first.late,
            first.cancel_at,
            first.faults,
            first.strangers,
        )
