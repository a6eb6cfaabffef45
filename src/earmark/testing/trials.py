"""Trials: schedules of one command, each run and checked."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from earmark.domain.authoring import Tx
from earmark.domain.capabilities import InventorySource
from earmark.domain.command import Command
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, Rejected, Unsupported
from earmark.domain.task import Task
from earmark.engine.boundary import BOUNDARIES
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.testing import checks, invariants
from earmark.testing.checks import Aftermath, Usual, Wrong
from earmark.testing.drive import Driver, Ran
from earmark.testing.edge import Edge
from earmark.testing.house import add_world, config_of, open_house
from earmark.testing.instants import instants_of
from earmark.testing.looks import unfound
from earmark.testing.report import Finding, Mistake
from earmark.testing.schedule import SAID, Fault, Schedule
from earmark.testing.wire import Seen, Wire
from earmark.testing.world import World

Make = Callable[[], Command[Any]]
Given = Callable[[Tx], None]
#: Rounds in which nothing moves: a job may say so often that it is still running.
_PATIENCE = 24
#: Seen where it is made; what else is wrong then is what came of it.
_CAUSES = (
    Mistake.NO_TOKEN,
    Mistake.GUESSES,
    Mistake.BY_NAME,
    Mistake.NOT_FOUND,
    Mistake.NOT_OWN,
)
#: What does not come of an exception of the author's.
_NOT_RAISED = (*_CAUSES, Mistake.BROKEN)


class Trials:
    """Every schedule of one command that was tried, and what was found."""

    def __init__(
        self,
        engine: Engine,
        driver: Driver,
        wire: Wire,
        edge: Edge,
        make: Make,
        given: Given,
        may_leave: Collection[str],
    ) -> None:
        self._engine = engine
        self._driver = driver
        self._wire = wire
        self._edge = edge
        self._make = make
        self._given = given
        self._may_leave = may_leave
        self._sources = dict(_sources(wire.worlds))
        self._usual = Usual({}, {})
        self._found: dict[tuple[Mistake, str], Finding] = {}
        self.tried = self.kills = self.effects = self.held = 0
        self.why_held: dict[str, None] = {}
        self._took_back: dict[str, None] = {}
        self._beside_others: set[str] = set()
        #: Whether it goes well undisturbed.
        self.well = False

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found: causes before mere consequences."""
        order = list(Mistake)
        return sorted(self._found.values(), key=lambda one: order.index(one.mistake))

    @property
    def seen(self) -> Seen:
        """What went over the wire in the last schedule."""
        return self._wire.seen

    @property
    def takers(self) -> Collection[str]:
        """The commands that took something back in the last schedule."""
        return self._edge.others.takers

    @property
    def untried(self) -> Sequence[str]:
        """Those that never did so where somebody else had something."""
        return [one for one in self._took_back if one not in self._beside_others]

    def undisturbed(self) -> list[str]:
        """The run that all others are held against; returns the instants it met."""
        return self.run(Schedule())

    def run(self, schedule: Schedule) -> list[str]:
        """Run one schedule and check it; returns the instants that it met."""
        self.tried += 1
        self.kills += len(schedule.kills)
        self._driver.clear()
        if schedule.strangers:
            self._make_strangers()
        self._begin(schedule)
        ran = self._driver.run(self._ask_again if schedule.strangers else self._ask,
                               schedule)  # fmt: skip
        after = Aftermath(self._engine, self._wire, ran.asked)
        if schedule == Schedule():
            self._usual = after.usual()
            self.well = all(root.went_well for root in after.roots)
        self.effects += sum(len(made) for made in after.made.values())
        if held := after.held():
            self.held += 1
            self.why_held |= {f"{task.command}: {task.message}": None for task in held}
        self._took_back |= dict.fromkeys(self.takers)
        if self._edge.others.there:
            self._beside_others |= set(self.takers)
        self._note(schedule, ran, after)
        return ran.met

    def _begin(self, schedule: Schedule) -> None:
        self._wire.begin(schedule)
        self._edge.begin()
        listings = {name: source().list_all() for name, source in self._sources.items()}

        def furnish(tx: Any) -> None:
            for name, listing in listings.items():
                tx.apply_listing(name, listing, tx.now)
            self._given(tx)

        transact(self._engine, furnish)

    def _ask(self) -> Iterator[Task]:
        command = self._make()
        yield transact(self._engine, lambda tx: command.enqueue(tx))

    def _ask_again(self) -> Iterator[Task]:
        # Its own `check` may say that there is one already.
        with suppress(Rejected, BadInput):
            yield from self._ask()

    def _make_strangers(self) -> None:
        """Run it, and forget that we did: what it made is somebody else's from now on.
        Who can makes more of that kind."""
        self._begin(Schedule())
        self._driver.run(self._ask_again, Schedule())
        for made in self._wire.made():
            stranger = getattr(self._wire.worlds[made.world], "stranger", None)
            if stranger is not None and made.effect.there:
                stranger(made.effect)
        self._driver.forget()

    def _note(self, schedule: Schedule, ran: Ran, after: Aftermath) -> None:
        wrong = [*self._edge.wrong, *checks.without_token(after)]
        wrong += self._edge.others.wrong()
        wrong += unfound(
            after,
            self._edge.looks,
            self._engine.installation,
            strangers=schedule.strangers,
        )
        wrong += checks.doubled(after, self._usual)
        wrong += checks.lost(after, self._usual)
        wrong += checks.left_behind(after, schedule, self._may_leave)
        wrong += checks.untaken(after, schedule, self._edge.raised, self._may_leave)
        wrong += checks.ends(after, schedule)
        wrong += self._broken(ran, after)
        raised = list(checks.raised_in_peace(after, self._edge.raised))
        if schedule.quiet and raised:
            wrong = [one for one in wrong if one.mistake in _NOT_RAISED] + raised
        causes = [one for one in wrong if one.mistake in _CAUSES]
        rest = [one for one in wrong if one.mistake not in _CAUSES]
        if not wrong:
            return
        plain = _plain(after)
        told = [plain(f"{one.mistake}: {one.text}") for one in rest if causes]
        story = [plain(line) for line in after.story()]
        when = plain(_when(schedule, ran.met, self.seen))
        for one in causes or rest:
            key = one.mistake, one.whose
            known = self._found.get(key)
            if known is None or (told and not known.told):
                text = plain(one.text)
                self._found[key] = Finding(
                    one.mistake, one.whose, text, when, told, story, str(schedule)
                )

    def _broken(self, ran: Ran, after: Aftermath) -> Iterator[Wrong]:
        whose = after.roots[0].command if after.roots else ""
        if invariants.unended(self._engine):
            yield from checks.unended(after)
        for text in [
            *ran.changed,
            *self._driver.instants.violations,
            *invariants.broken(self._engine),
        ]:
            yield Wrong(Mistake.BROKEN, whose, text)


@contextmanager
def trials_of(
    make: Make,
    worlds: Mapping[str, World],
    given: Given,
    may_leave: Collection[str],
) -> Iterator[Trials]:
    """Trials in a house of their own."""
    with open_house() as engine:
        wire = Wire()
        for name, world in worlds.items():
            add_world(engine, name, world, wire.add(name, world, hurried=True))
        edge = Edge(engine, wire)
        with instants_of(engine, (), edge.between) as instants:
            wire.meet = instants.meet
            edge.watch(instants)
            edge.know(type(make()))
            driver = Driver(engine, wire, instants, _PATIENCE)
            yield Trials(engine, driver, wire, edge, make, given, may_leave)


def _sources(
    worlds: Mapping[str, World],
) -> Iterator[tuple[str, Callable[[], InventorySource]]]:
    """The worlds that list what they have: their furniture goes into the inventory."""
    for name, world in worlds.items():
        session = world.connector.open(config_of(world))

        def source(session: Any = session) -> InventorySource:
            found: InventorySource = session.capability(InventorySource, Deadline(30))
            return found

        with suppress(Unsupported, LookupError, AssertionError, TypeError):
            if callable(getattr(source(), "list_all", None)):
                yield name, source


def _plain(after: Aftermath) -> Callable[[str], str]:
    """Words that are the same in every run: T1 for the first promise's token."""
    names = {token: f"T{n}" for n, token in enumerate(after.effects, start=1)}

    def plain(text: str) -> str:
        for token, name in names.items():
            text = text.replace(token, name)
        return text

    return plain


def _when(schedule: Schedule, met: Sequence[str], seen: Seen) -> str:
    """What befell it, in words."""
    calls: dict[Fault, Sequence[str]] = {
        Fault.CUT: seen.reads,
        Fault.FINISH: seen.finishes,
    }
    changes = [f"{sending.command}.send → {label}" for label, sending in seen.changes]
    said = ["others that look the same are there"] if schedule.strangers else []
    for fault, number in schedule.faults:
        of = calls.get(fault, changes)
        label = f" ({of[number - 1]})" if number <= len(of) else ""
        said.append(SAID[fault].format(f"{number}{label}"))
    for number in schedule.kills:
        name = met[number] if number < len(met) else "an instant that did not come"
        said.append(f"its worker is killed at “{name}”")
    if schedule.late:
        said.append("the request on its way lands after the next look")
    if schedule.cancel_at is not None:
        names = [name for name in met if name in BOUNDARIES]
        at = names[schedule.cancel_at] if schedule.cancel_at < len(names) else "its end"
        said.append(f"it is cancelled at “{at}”")
    return ", and ".join(said) or "nothing befalls it"
