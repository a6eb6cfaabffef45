"""Something happens between two transactions of a run: at each of them in turn. And
commands whose plans have parts in every state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Action, Child, Command, Composite
from earmark.domain.lock import Lock, exclusive
from earmark.domain.outcome import Failed, Running
from earmark.domain.refs import ProviderRef
from earmark.domain.states import OPEN_AT_PROVIDER
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.answer import Sent
from earmark.engine.cancel import offer
from earmark.engine.explain import waiting_for
from earmark.engine.plan import plan
from earmark.engine.send import intend
from earmark.store import locks, placeholders
from earmark.store.schema import evidence
from tests.engine.world import Make, MakeAll, MakeBlindly, MakeTagged, Stage, World


class MakeStoppably(Make):
    """A job that the provider can be asked to stop."""

    title = "Make {what}, stoppably"

    def locks(self) -> Sequence[Lock]:
        return [exclusive("thing", self.what)]

    def cancel(self, ctx: Ctx, job: str) -> None:
        ctx.connect(World).stop(job)


class MakeTaggedStoppably(MakeTagged, MakeStoppably):
    """The same, where a second request would make a second thing; class `tag`."""

    title = "Make {what}, marked and stoppable"


class Watch(Action[str]):
    """Works until it is asked to stop."""

    title = "Watch"
    work: ClassVar[Callable[[Ctx], str]] = lambda ctx: "seen"

    def run(self, ctx: Ctx) -> str:
        return type(self).work(ctx)


KINDS: Mapping[str, Any] = {
    "plain": Make,
    "blind": MakeBlindly,
    "tagged": MakeTagged,
    "stoppable": MakeStoppably,
    "marked": MakeTaggedStoppably,
    "pair": None,
}


class MakeMixed(Composite[str]):
    """Parts as (key, kind, after); each makes its key."""

    title = "Make a mixture"
    provider: ProviderRef
    parts: tuple[tuple[str, str, tuple[str, ...]], ...]

    def locks(self) -> Sequence[Lock]:
        return [exclusive("things", self.provider)]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {
            key: Child(self._part(key, kind), after) for key, kind, after in self.parts
        }

    def _part(self, key: str, kind: str) -> Command[Any]:
        if kind == "pair":
            return MakeAll(provider=self.provider, whats=(f"{key}1", f"{key}2"))
        made: Command[Any] = KINDS[kind](provider=self.provider, what=key)
        return made

    def finish(self, tx: Tx, results: Results) -> str:
        return "all made"


ALL = (MakeStoppably, MakeTaggedStoppably, Watch, MakeMixed)


def mixed(*parts: str) -> MakeMixed:
    """`key:kind` or `key:kind:after`, each."""
    split = [part.split(":") for part in parts]
    return MakeMixed(
        provider="p-1",
        parts=tuple((one[0], one[1], tuple(one[2:])) for one in split),
    )


class Between:
    """Counts the engine's transactions that write, and does something before one."""

    def __init__(self, stage: Stage) -> None:
        self._database = stage.engine.database
        self._write = self._database.write
        self.count = 0
        self._at: int | None = None
        self._deed: Callable[[], object] = lambda: None

    @contextmanager
    def before(self, at: int, deed: Callable[[], object]) -> Iterator["Between"]:
        """While this lasts, `deed` is done once, before the `at`-th transaction."""
        self.count, self._at, self._deed = 0, at, deed
        self._database.write = self._counted  # type: ignore[method-assign]
        try:
            yield self
        finally:
            self._database.write = self._write  # type: ignore[method-assign]

    def _counted(self, work: Any, **options: Any) -> Any:
        if self.count == self._at:
            self._at = None
            self._deed()
        self.count += 1
        return self._write(work, **options)


def intents(stage: Stage) -> int:
    """How often an intent to send was committed."""
    query = evidence.select().where(evidence.c.kind == "sending")
    return len(stage.engine.read(lambda tx: tx.execute(query).all()))


def intend_only(stage: Stage, claimed: Task) -> Sent:
    """Commit the intent of a claimed job; its sender then says nothing."""
    engine = stage.engine
    command = describe.load(engine, claimed)
    assert isinstance(command, Make)
    claimed = plan(engine, claimed, command)
    effect = engine.read(lambda tx: placeholders.of_task(tx, claimed.id))
    assert effect is not None
    operation = engine.operation(stage.provider, effect.operation)
    before = effect.doubt_since is not None
    effect = intend(engine, claimed, effect, operation, None)
    assert effect is not None
    return Sent(engine, claimed, command, effect.id, str(effect.nonce), before)


def lose(what: str, ctx: Ctx) -> str:
    """A send that did not arrive, and nobody knows."""
    raise ConnectionResetError("the line went dead")


def by_key(stage: Stage) -> dict[str, Task]:
    """Every task by its key; a root by the empty one."""
    return {task.key: task for task in stage.tasks()}


def effect_of(stage: Stage, task: Task) -> Any:
    """The placeholder of a task that counts."""
    return stage.engine.read(lambda tx: placeholders.of_task(tx, task.id))


def evidence_of(stage: Stage, task: Task) -> list[str]:
    """What was seen of a task's effect, in order."""
    effect = effect_of(stage, task)
    rows = stage.engine.read(lambda tx: placeholders.evidence_of(tx, effect.id))
    return [row.text for row in rows]


def held(stage: Stage, kind: type[Make] = MakeBlindly) -> Task:
    """A job whose request was lost, and that nobody but a person can find out."""
    stage.world.on_send = lose
    task = stage.run(kind(provider="p-1", what="a"))
    stage.world.on_send = None
    assert task.state == "held"
    return task


def locked(stage: Stage, root: Task) -> bool:
    """True while a root holds, or queues for, a lock."""
    return bool(stage.engine.read(lambda tx: locks.touched(tx, root.id)))


def honest(stage: Stage, root: Task | None = None) -> None:
    """What is always true, of all tasks or of one root's: invariants 3, 6, 9 and 10,
    and rule 11 at the end."""
    every = [t for t in stage.tasks() if root is None or t.root_id == root.id]
    by_id = {task.id: task for task in every}
    effects = stage.engine.read(lambda tx: placeholders.of_tasks(tx, list(by_id)))
    reasons = stage.engine.read(lambda tx: waiting_for(tx, every))
    for task in every:
        effect = effects.get(task.id)
        if task.done:
            assert effect is None or effect.state not in OPEN_AT_PROVIDER
            assert effect is None or effect.state != "planned"
            if task.verdict is not None:
                assert not task.outcome or not task.outcome.good
            assert not task.is_root or not locked(stage, task)
        else:
            parent = by_id.get(task.parent_id or "")
            assert parent is None or not parent.done
            assert task.state == "running" or task.id in reasons


def running(stage: Stage) -> None:
    """Every job goes on until somebody changes that."""
    stage.world.on_send = lambda what, ctx: go_on(stage, ctx)


def go_on(stage: Stage, ctx: Ctx) -> str:
    """Accept a job that goes on and on."""
    stage.world.jobs.setdefault(ctx.token, Running(10, "going on"))
    return ctx.token


def offered(stage: Stage, task: Task) -> str:
    """What a cancel would mean now."""
    now = stage.task(task)
    meant = stage.engine.read(lambda tx: offer(tx, now))
    return meant.kind if meant else ""


def stops(stage: Stage) -> None:
    """The provider does stop what it is asked to, and says so."""

    def stop(job: str) -> None:
        if isinstance(stage.world.jobs.get(job), Running):
            stage.world.jobs[job] = Failed("stopped on request", "stopped")

    stage.world.on_stop = stop
