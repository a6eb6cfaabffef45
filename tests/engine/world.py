"""A scripted provider inside the test's process, and commands that ask it, one for each
class of operation. For what is said about crashes, see `tests/acceptance`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Child, Command, Composite, ExternalJob, Retry
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import JobUnknown
from earmark.domain.inventory import Provider
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Done, Failed, Found, Progress, Running
from earmark.domain.refs import ProviderRef
from earmark.domain.task import Task
from earmark.engine import describe, poll, recover
from earmark.engine.browse import TaskFilter, list_tasks
from earmark.engine.claim import claim
from earmark.engine.enqueue import transact
from earmark.engine.plan import plan
from earmark.engine.runtime import Engine
from earmark.engine.send import intend
from earmark.store import inventory, locks, placeholders, tasks, workers
from earmark.store.database import Transaction
from earmark.store.schema import placeholders as placeholder_table
from earmark.testing.rounds import appetite, perform_queued

C = TypeVar("C")
K = TypeVar("K", bound=Command[Any])
Script = Callable[[str, Ctx], str]


class NoSettings(BaseModel):
    """Nothing to set."""


class World:
    """The provider: what was sent, which jobs there are, and how it misbehaves."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.jobs: dict[str, Any] = {}
        #: Called at each send with what is made and its ctx; returns the handle.
        self.on_send: Script | None = None
        self.on_poll: Callable[[str], Progress] | None = None
        #: Which jobs were asked to stop, and what comes of it.
        self.asked: list[str] = []
        self.on_stop: Callable[[str], None] | None = None

    def send(self, what: str, ctx: Ctx) -> str:
        self.sent.append(what)
        if self.on_send is not None:
            return self.on_send(what, ctx)
        return self.make(what, ctx)

    def make(self, what: str, ctx: Ctx) -> str:
        """What a send really does: once per token."""
        self.jobs.setdefault(ctx.token, Done(f"{what}!"))
        return ctx.token

    def poll(self, job: str) -> Any:
        if self.on_poll is not None:
            return self.on_poll(job)
        if job not in self.jobs:
            raise JobUnknown("no such job")
        return self.jobs[job]

    def find(self, token: str) -> list[Found]:
        return [Found(token, mark=token)] if token in self.jobs else []

    def stop(self, job: str) -> None:
        self.asked.append(job)
        if self.on_stop is not None:
            self.on_stop(job)


class ScriptedConnector:
    """A kind of provider with one operation of each class."""

    kind = "scripted"
    title = "Scripted"
    settings: type[BaseModel] = NoSettings
    secrets: Mapping[str, str] = {}
    operations: Mapping[str, Operation] = {
        effect.value: Operation(
            effect.value,
            effect,
            source="this test",
            max_in_flight=timedelta(milliseconds=1),
            send_seconds=5,
            poll_seconds=0.01,
        )
        for effect in EffectClass
    }

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, config: ProviderConfig) -> "ScriptedConnector":
        return self

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        assert capability is World
        return self.world  # type: ignore[return-value]

    def close(self) -> None:
        pass


class Make(ExternalJob[str]):
    """Make a thing; class `token`."""

    title = "Make {what}"
    operation: ClassVar[str] = "token"
    retry = Retry(attempts=3, first=timedelta(milliseconds=1))
    provider: ProviderRef
    what: str

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(World).send(self.what, ctx)

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return ctx.connect(World).find(ctx.token)

    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        answer: Running | Done[str] | Failed = ctx.connect(World).poll(job)
        return answer


class MakeBlindly(Make):
    """The same, where the provider can tell nothing afterwards; class `none`."""

    title = "Make {what} blindly"
    operation = "none"

    def find(self, ctx: Ctx) -> Sequence[Found]:
        return []


class MakeTagged(Make):
    """The same, found by a mark inside; class `tag`."""

    title = "Make {what}, marked"
    operation = "tag"


class MakeBadly(Make):
    """The provider does its part, and our `finish` raises."""

    title = "Make {what}, badly"

    def finish(self, tx: Tx, result: str) -> None:
        raise RuntimeError("the author's mistake")


class Join(Make):
    """Comes after others, and joins what they made."""

    title = "Join {what}"

    def prepare(self, ctx: Ctx) -> Any:
        keys = self.what.split("+")
        return [ctx.results.of(key, Make) for key in keys]

    def send(self, ctx: Ctx) -> str:
        return ctx.connect(World).send("+".join(ctx.request), ctx)


class MakeAll(Composite[str]):
    """Make several things, then join them."""

    title = "Make {whats}"
    provider: ProviderRef
    whats: tuple[str, ...]
    join: bool = False
    broken: bool = False

    def locks(self) -> Sequence[Lock]:
        return [exclusive("things", self.provider)]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        if self.broken:
            raise RuntimeError("the author's plan is broken")
        plan: dict[str, Command[Any] | Child] = {
            what: Make(provider=self.provider, what=what) for what in self.whats
        }
        if self.join:
            joined = Join(provider=self.provider, what="+".join(self.whats))
            plan["join"] = Child(joined, after=self.whats)
        return plan

    def finish(self, tx: Tx, results: Results) -> str:
        if self.join:
            return results.of("join", Join)
        return " ".join(results.of(what, Make) for what in self.whats)


class MakeTwice(Composite[str]):
    """A composite of composites."""

    title = "Make {whats} twice"
    provider: ProviderRef
    whats: tuple[str, ...]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        one = MakeAll(provider=self.provider, whats=self.whats)
        return {"first": one, "second": one}

    def finish(self, tx: Tx, results: Results) -> str:
        return " ".join(results.of(key, MakeAll) for key in ("first", "second"))


ALL = (
    Make,
    MakeBlindly,
    MakeTagged,
    MakeBadly,
    Join,
    MakeAll,
    MakeTwice,
)


class Stage:
    """An engine with the scripted provider, worked by the test itself, step by step."""

    def __init__(self, engine: Engine) -> None:
        self.world = World()
        self.engine = engine
        engine.connectors = {
            **engine.connectors,
            "scripted": ScriptedConnector(self.world),
        }
        for command in ALL:
            engine.commands.register(command)
        self.provider = Provider("p-1", "scripted", "scripted", "default", {})
        engine.write(lambda tx: inventory.add_provider(tx, self.provider))

    def ask(self, command: Command[Any], **options: Any) -> Task:
        return transact(self.engine, lambda tx: command.enqueue(tx, **options))

    def claim(self, worker: str = "w-1", limit: int = 10) -> list[Task]:
        return claim(self.engine, appetite(self.engine), worker, limit)

    def check(self) -> int:
        """Ask the provider about everything that is under way, due or not."""
        self.hurry()
        return poll.check_provider(self.engine, "p-1")

    def work(self, rounds: int = 20) -> None:
        """Claim, run and check until nothing moves any more."""
        for _ in range(rounds):
            claimed = perform_queued(self.engine)
            if not self.check() and not claimed and not self.queued():
                return

    def queued(self) -> list[Task]:
        return [t for t in self.tasks() if t.state == "queued"]

    def task(self, task: Task) -> Task:
        return self.engine.read(lambda tx: tasks.get(tx, task.id))

    def tasks(self) -> list[Task]:
        every = TaskFilter(children_too=True)
        return self.engine.read(lambda tx: list_tasks(tx, every, 1000))[::-1]

    def effects(self) -> list[Any]:
        return self.engine.read(
            lambda tx: list(
                tx.execute(
                    placeholder_table.select().order_by(
                        placeholder_table.c.task_id, placeholder_table.c.id
                    )
                ).all()
            )
        )

    def run(self, command: Command[Any]) -> Task:
        """Ask, work, and return how it ended."""
        task = self.ask(command)
        self.work()
        return self.task(task)

    def vary(self, kind: type[K], **members: Any) -> type[K]:
        """A command of its own that differs from `kind` in these members, known to
        this engine."""
        known = len(self.engine.commands.pairs())
        make: Any = type(kind)
        made: type[K] = make(
            f"{kind.__name__}{known}",
            (kind,),
            {"__module__": __name__, "title": kind.title, **members},
        )
        self.engine.commands.register(made)
        return made

    def hire(
        self, name: str, knows: list[list[str | int]], roles: Sequence[str] = ("*",)
    ) -> None:
        """A live worker, as its row tells."""
        values = {
            "id": name, "zone": "default", "roles": list(roles), "commands": knows,
            "slots": 1, "host": "h", "machine": "m", "pid": 1, "pid_started": 1.0,
        }  # fmt: skip

        def work(tx: Transaction) -> None:
            workers.register(tx, values)

        self.engine.write(work)

    def kill(self, worker: str = "w-1") -> None:
        """The worker is gone; what it left is recovered, as another's loop would."""
        recover.worker_gone(self.engine, worker, "killed")

    def locked(self, kind: str = "things", name: str = "p-1") -> list[str]:
        """The ids of the roots that hold an object."""
        rows = self.engine.read(lambda tx: locks.on(tx, kind, name))
        return [row.id for row in rows]

    def in_line(self, kind: str = "things", name: str = "p-1") -> list[str]:
        """The ids of the roots that queue for an object, the next one first."""
        rows = self.engine.read(lambda tx: locks.waiting(tx, kind, name))
        return [row.id for row in rows]

    def intend(self, claimed: Task) -> None:
        """Go as far with a claimed effect as a worker that dies in the middle of its
        send: the intent is committed, and nothing else is known."""
        command = describe.load(self.engine, claimed)
        task = plan(self.engine, claimed, command)
        effect = self.engine.read(lambda tx: placeholders.of_task(tx, task.id))
        assert effect is not None
        operation = self.engine.operation(self.provider, effect.operation)
        intend(self.engine, task, effect, operation, None)

    def hurry(self) -> None:
        """Let everything that is under way be due now."""

        def now(tx: Any) -> None:
            open_ = tx.execute(placeholder_table.select()).all()
            placeholders.postpone(tx, [row.id for row in open_], tx.now)

        self.engine.write(now)
