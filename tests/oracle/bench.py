"""The bench on which the oracle works: the engine and the model beside each other, what
there is just now, and the moves that deeds are made of. Every move is made on both
sides, and says whether it did anything."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from earmark.domain.task import Task as Row
from earmark.engine import enqueue, recover
from earmark.engine.tx import EngineTx
from earmark.testing import invariants
from tests.oracle import commands, doubts, lost, people, workers
from tests.oracle.deeds import Ask
from tests.oracle.house import House, Sleeper, differences
from tests.oracle.model import Model
from tests.oracle.site import OPERATIONS
from tests.oracle.workers import ZONES, Attempt, Instants, Worker


@dataclass
class Claim:
    """A task that a worker has in hand, on both sides."""

    worker: str
    row: Row
    attempt: Attempt


@dataclass
class Asleep:
    """An attempt that is held up, on both sides."""

    claim: Claim
    sleeper: Sleeper
    rest: Instants


class Bench(RuleBasedStateMachine):
    """One example: a fresh house and a fresh model."""

    house: ClassVar[House]
    #: How often each operation was tried, and did something, over the whole run.
    tried: ClassVar[Counter[str]] = Counter()
    succeeded: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.house.fresh()
        self.engine = self.house.engine
        self.model = Model()
        self.workers = {"w-1": Worker("w-1"), "w-2": Worker("w-2", zone="east")}
        self.hired = 2
        self.claims: dict[str, Claim] = {}
        self.asleep: dict[str, Asleep] = {}
        self.lands_until: dict[str, float] = {}

    @classmethod
    def begin_counting(cls, house: House) -> None:
        """A new run, in this house."""
        cls.house = house
        cls.tried.clear()
        cls.succeeded.clear()

    @classmethod
    def counted(cls) -> str:
        """How often each operation succeeded, and was tried."""
        return "\n".join(
            f"{cls.succeeded[what]:6} of {tried:6}  {what}"
            for what, tried in sorted(cls.tried.items())
        )

    def teardown(self) -> None:
        for one in list(self.asleep.values()):
            one.sleeper.die()
        for what, count in self.model.happened.items():
            self.tried[what] += count
            self.succeeded[what] += count

    def note(self, what: str, did: object) -> None:
        """An operation was tried, and did something or nothing."""
        self.tried[what] += 1
        self.succeeded[what] += bool(did)

    @invariant()
    def same(self) -> None:
        """What is observed is what the model has, and no rule is broken."""
        told = self.told()
        assert not told, "\n".join(["", *told])

    def told(self) -> list[str]:
        """What is not as it should be."""
        return differences(self.engine, self.model) + invariants.broken(self.engine)

    # What there is just now, by names.

    def roots(self) -> list[str]:
        return list(self.model.roots)

    def ended(self) -> list[str]:
        return [name for name, root in self.model.roots.items() if root.done]

    def held(self) -> list[str]:
        return [task.name for task in self.model.every() if task.state == "held"]

    def used_keys(self) -> list[str]:
        return list(self.model.keys)

    def staff(self) -> list[str]:
        """Workers of which no thread is held up."""
        stopped = {one.claim.worker for one in self.asleep.values()}
        return [name for name in self.workers if name not in stopped]

    def ready(self) -> list[str]:
        """Those of them that have something in hand, or could claim it."""
        busy = {one.worker for one in self.claims.values()}
        known = self.workers
        return [
            name
            for name in self.staff()
            if name in busy or workers.claimable(self.model, known[name])
        ]

    def room(self) -> list[str]:
        """One, while there are not too many workers."""
        return ["one more"] if len(self.workers) < 5 else []

    def in_hand(self) -> list[str]:
        return list(self.claims)

    def sleepers(self) -> list[str]:
        return list(self.asleep)

    def busy(self) -> list[str]:
        asleep = (one.claim for one in self.asleep.values())
        return sorted({one.worker for one in (*self.claims.values(), *asleep)})

    def running_jobs(self) -> list[str]:
        """By the effect, and which of what it made."""
        site = self.model.site
        return [
            f"{effect.name}/{number}"
            for _, effect in self.model.all_effects()
            for number, handle in enumerate(site.made.get(effect.id, ()))
            if site.jobs[handle] == "running"
        ]

    def under_way(self) -> list[str]:
        """What can be asked about."""
        every = self.model.effects()
        return [it.name for _, it in every if it.due and it.state in doubts.ASKED]

    def stoppable(self) -> list[str]:
        """Roots of whose jobs one can be asked to stop, and was not yet."""
        return [
            task.root.name
            for task, effect in self.model.effects()
            if effect.state == "bound" and effect.due and doubts.can_be_stopped(task)
            if not task.root.done and task.cancelled_by is None
            if task.command.provider == "p-1"  # type: ignore[attr-defined]
        ]

    def on_way(self) -> list[str]:
        """Whose requests may still land."""
        every = self.model.all_effects()
        return [it.name for _, it in every if it.id in self.model.site.on_way]

    def token(self, effect: str) -> str:
        every = self.model.all_effects()
        return next(it.id for _, it in every if it.name == effect)

    # Moves.

    def ask(self, command: Any, priority: int, key: str | None) -> Row:
        """Of the engine alone."""

        def work(tx: EngineTx) -> Row:
            row: Row = command.enqueue(tx, key=key, priority=priority)
            return row

        return enqueue.transact(self.engine, work)

    def ask_for(self, ask: Ask) -> None:
        what = f"thing {self.model.asked}"
        command = commands.make(ask.kind, ask.at, what, ask.lock, ask.parts)
        key = f"k-{self.model.asked}" if ask.keyed else None
        row = self.ask(command, ask.priority, key)
        people.enqueue(self.model, command, row.id, ask.priority, key)
        self.note(f"enqueue {ask.kind}", True)

    def take(self, worker: str, limit: int) -> list[str]:
        """Claim; returns the names of the claims."""
        rows = self.house.claim(self.workers[worker], limit)
        taken = workers.claim(self.model, self.workers[worker], limit)
        wanted = [task.id for task in taken]
        assert [row.id for row in rows] == wanted, (
            f"{worker} claimed {[row.title for row in rows]}, the model has "
            f"{[task.name for task in taken]}"
        )
        names = [f"{task.name} {task.attempt}" for task in taken]
        for name, row, task in zip(names, rows, taken, strict=True):
            self.claims[name] = Claim(worker, row, Attempt(self.model, task))
        self.note("claim", rows)
        return names

    def carry_out(self, claim: str, script: str) -> None:
        """A claim may have been taken over in the meantime."""
        one = self.claims.pop(claim)
        mine = one.attempt.mine
        self.house.attempt(one.row, script)()
        for _ in one.attempt.run(script):
            pass
        self.requests_leave()
        self.note(f"perform: {script}" if mine else "perform what is another's", True)

    def work_on(self, worker: str, scripts: list[str]) -> None:
        """Claim some, and carry them out one after the other."""
        claimed = self.take(worker, len(scripts))
        for claim, script in zip(claimed, scripts, strict=False):
            self.carry_out(claim, script)

    def stop_at(self, worker: str, at: str, script: str) -> str | None:
        """The worker's thread stops at an instant of what it has in hand, or claims
        now; returns the claim, and None when it did not come there."""
        mine = [name for name, it in self.claims.items() if it.worker == worker]
        claim = next(iter(mine or self.take(worker, 1)), None)
        if claim is None:
            return None
        one = self.claims.pop(claim)
        met = one.attempt.instants
        at = at if at in met else met[workers.INSTANTS.index(at) % len(met)]
        sleeper = self.house.asleep(at, self.house.attempt(one.row, script))
        rest = one.attempt.run(script)
        reached = any(instant == at for instant in rest)
        assert sleeper.asleep == reached, f"at {at} the model is not where it is"
        self.requests_leave()
        if not reached:
            return None
        self.asleep[claim] = Asleep(one, sleeper, rest)
        self.note(f"stop at {at}", True)
        return claim

    def wake_up(self, claim: str) -> None:
        """What was held up goes on to its end, with what it knew."""
        one = self.asleep.pop(claim)
        late = not one.claim.attempt.mine
        one.sleeper.wake()
        for _ in one.rest:
            pass
        self.requests_leave()
        self.note("wake late" if late else "wake in time", True)

    def bury(self, worker: str) -> None:
        """Its process is proved gone, with all that it had in hand; another comes."""
        for name in [n for n, it in self.asleep.items() if it.claim.worker == worker]:
            self.asleep.pop(name).sleeper.die()
        for name in [n for n, it in self.claims.items() if it.worker == worker]:
            del self.claims[name]
        recover.worker_gone(self.engine, worker, "it was killed")
        lost.worker_gone(self.model, worker)
        was = self.workers.pop(worker)
        self.take_on(was.zone, was.roles, was.old)

    def take_on(self, zone: str, roles: tuple[str, ...], old: bool) -> None:
        self.hired += 1
        name = f"w-{self.hired}"
        self.workers[name] = Worker(name, zone, roles, old)

    def look(self) -> int:
        """Ask both providers about everything."""
        looked = 0
        for provider in ZONES:
            order = [effect.id for _, effect in self.model.effects()]
            count = self.house.check(provider, order)
            assert count == doubts.check(self.model, provider), "other effects are due"
            looked += count
        self.note("poll and probe", looked)
        return looked

    def go_on(self) -> None:
        """What is sent is accepted, what runs ends well, and that is noticed."""
        for worker in self.staff():
            self.work_on(worker, ["accepts"] * 4)
        for job in self.running_jobs():
            self.end_job(job, "done")
        for _ in range(2):
            self.look()

    def end_job(self, job: str, how: str) -> None:
        name, _, number = job.rpartition("/")
        handle = self.model.site.made[self.token(name)][int(number)]
        for site in (self.model.site, self.house.site):
            site.jobs[handle] = how
        self.note(f"a job is {how}", True)

    def requests_leave(self) -> None:
        """A request lands within the horizon that is declared, or never."""
        for token, effect in self.model.site.on_way.items():
            horizon = OPERATIONS[effect].max_in_flight.total_seconds()
            self.lands_until.setdefault(token, self.model.now + horizon)

    def pass_time(self, seconds: float) -> None:
        self.house.now = self.model.now = self.model.now + seconds
        for token, until in list(self.lands_until.items()):
            if until <= self.model.now:
                del self.lands_until[token]
                for site in (self.model.site, self.house.site):
                    site.on_way.pop(token, None)
