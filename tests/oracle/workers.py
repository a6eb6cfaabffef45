"""What workers do, in the model. An attempt is a generator: it stops at each instant at
which its thread can be killed or held up, and goes on with what it knew then. So a
worker that wakes up late is one that is asked for its next step late."""

from collections.abc import Iterator
from dataclasses import dataclass

from earmark.domain.command import Action, Command, Composite, ExternalJob
from earmark.domain.lock import Lock
from tests.oracle import undoing
from tests.oracle.again import promise_again, tries, try_later, worth_it
from tests.oracle.model import Model, plan_children
from tests.oracle.site import AGAIN, LANDS, OPERATIONS
from tests.oracle.things import Effect, Error, Send, Task, new_effect, waits_for_locks

#: Providers and their zones.
ZONES = {"p-1": "default", "p-2": "east"}
#: How long, in seconds, a claim may sit; and what a call's own time is added.
CLAIM, GRACE = 60, 5
MOST_RECOVERIES = 5
#: Where an attempt can be held up or killed: at a boundary, or on its way to the
#: provider ("asked") and back ("landed").
_SENDING = (
    "plan.committed",
    "prepare.done",
    "send.committed",
    "asked",
    "landed",
    "send.answered",
    "bind.committed",
)
_UNDOING = ("undo.started", "undo.planned")
INSTANTS = (
    *_SENDING, "act.answered", "settle.committed", "finish.started", *_UNDOING
)  # fmt: skip
_ACTING = ("plan.committed", "asked", "act.answered", "settle.committed")
Instants = Iterator[str]


@dataclass(frozen=True)
class Worker:
    """Where it stands and what it may do; `old` ones know no newer versions."""

    name: str
    zone: str = "default"
    roles: tuple[str, ...] = ("*",)
    old: bool = False

    def knows(self, command: type[Command[object]]) -> bool:
        return not self.old or command.version == 1

    def takes(self, task: Task) -> bool:
        """Zone, role and version (rule 19)."""
        role = "*" in self.roles or task.command.role in self.roles
        return role and self.zone == task.zone and self.knows(type(task.command))


def claimable(model: Model, worker: Worker) -> list[Task]:
    """By priority, then by age; never what is for others, or for later."""
    queue = [
        task
        for task in model.every()
        if task.state == "queued" and task.run_after <= model.now
    ]
    queue.sort(key=lambda task: (task.priority, task.id))
    return [task for task in queue if worker.takes(task)]


def claim(model: Model, worker: Worker, limit: int) -> list[Task]:
    """Each is this worker's now, for a new attempt."""
    taken = claimable(model, worker)[:limit]
    for task in taken:
        task.state, task.worker = "running", worker.name
        task.attempt += 1
        task.deadline = model.now + CLAIM
        task.started = model.now if task.started is None else task.started
        model.happened["claimed by role"] += task.command.role != "operations"
        model.happened["claimed by version"] += task.command.version != 1
        model.happened["claimed by zone"] += task.zone != "default"
    return taken


@dataclass
class Attempt:
    """One attempt of one task: what the worker has in hand."""

    model: Model
    task: Task
    #: What will come of its send.
    script: str = ""

    def __post_init__(self) -> None:
        self.number = self.task.attempt
        self.worker = str(self.task.worker)
        self.step = self.task.step
        #: The effect whose request is just leaving.
        self.asking: Effect | None = None

    @property
    def mine(self) -> bool:
        """One attempt may write state (invariant 2)."""
        task = self.task
        return task.state == "running" and task.attempt == self.number

    @property
    def instants(self) -> tuple[str, ...]:
        """Where it may be held up or killed."""
        if self.step == "undo":
            return _UNDOING
        if self.step == "finish":
            return ("finish.started", "settle.committed")
        if isinstance(self.task.command, ExternalJob):
            return _SENDING
        return _ACTING if isinstance(self.task.command, Action) else _ACTING[:1]

    def run(self, script: str) -> Instants:
        """All of it."""
        self.script = script
        if self.step == "undo":
            yield from self._undo()
            return
        if self.step == "finish":
            yield from self._finish()
            return
        if not self.mine:
            self.model.happened["came too late to plan"] += 1
            return
        planned = self._plan()
        if planned is None:
            yield "settle.committed"
            return
        if not planned:
            return  # it queues for its locks
        yield "plan.committed"
        if isinstance(self.task.command, ExternalJob):
            yield from self._send()
        elif isinstance(self.task.command, Action):
            yield from self._act()

    def _undo(self) -> Instants:
        yield "undo.started"
        raises = self.script == "unprepared"
        if self.mine and undoing.plan(self.model, self.task, raises=raises):
            yield "undo.planned"

    def _finish(self) -> Instants:
        yield "finish.started"
        if not self.mine:
            return
        if self.task.command.broken:  # type: ignore[attr-defined]
            # An author's exception in `finish` starts the undo (rule 13).
            self.model.happened["a plan could not be finished"] += 1
            self.model.fail(self.task, "broken")
        else:
            self.model.happened["finished a plan"] += 1
            self.model.end(self.task, "ok")
        yield "settle.committed"

    def _plan(self) -> bool | None:
        """Everything is promised, or nothing (invariant 6). False: it queues for its
        locks; None: it has ended."""
        model, task = self.model, self.task
        effect = task.effect
        if task.stop and (effect is None or effect.state == "planned"):
            model.drop(task, "cancelled")
            return None
        if effect is None:
            in_the_way = self._promise()
            if in_the_way is not None and waits_for_locks(task):
                self._count_from_here()
                model.queue(task, in_the_way)
                model.rest(task)
                return False
            if in_the_way is not None:
                model.happened["refused a lock"] += 1
                model.drop(task, "failed", Error("locked"))
                return None
        elif task.undoes is not None and not self._lock_undo(effect):
            model.happened["undo refused a lock"] += 1
            model.drop(task, "failed", Error("locked"))
            return None
        self._count_from_here()
        task.tries += 1
        return True

    def _lock_undo(self, effect: Effect) -> bool:
        """A step of an undo takes its locks only now."""
        wanted = list(self.task.command.locks())
        return effect.state != "planned" or self.model.take(self.task.root, wanted)

    def _count_from_here(self) -> None:
        """The deadline of the whole run counts from the first claim."""
        task, seconds = self.task, self.task.command.deadlines.run
        if seconds is not None and task.end_by is None and task.started is not None:
            task.end_by = task.started + seconds

    def _promise(self) -> list[Lock] | None:
        """Locks first; None when all is promised, else what stood in the way."""
        model, task = self.model, self.task
        own = list(task.command.locks()) if task.parent is None else []
        before = dict(model.held), dict(model.queued)
        if task.parent is None and not model.take(task, own):
            return own
        if isinstance(task.command, ExternalJob):
            new_effect(task, task.command)
        if isinstance(task.command, Composite):
            wanted = [*own, *plan_children(task, ZONES, model.now)]
            if not model.take(task.root, wanted):
                model.held, model.queued = before
                task.children.clear()
                return wanted
            task.pending = len(task.children)
            if task.children:
                model.rest(task)
            else:
                task.state, task.step, task.deadline = "queued", "finish", None
            model.happened["planned children"] += 1
        return None

    def _act(self) -> Instants:
        model, task, script = self.model, self.task, self.script
        if not self.mine:
            return
        task.deadline = model.now + task.command.deadlines.call + GRACE
        yield "asked"
        if script in LANDS:
            yield "act.answered"
            if not self.mine:
                return
            model.happened["acted"] += 1
            model.end(task, "ok")
        elif not self.mine:
            return
        elif task.stop:
            model.end(task, "cancelled")
        elif not self._again(code := _code(script, lost="broken")):
            model.fail(task, code)
        yield "settle.committed"

    def _send(self) -> Instants:
        """The intent first, then the bytes, then what came of them."""
        model, task = self.model, self.task
        effect = task.effect
        assert effect is not None
        if effect.first_sent is None:
            if not self.mine:
                return
            task.deadline = model.now + task.command.deadlines.call + GRACE
            if self.script == "unprepared":
                model.happened["could not be prepared"] += 1
                model.fail_unsent(task, "unprepared")
                yield "settle.committed"
                return
            yield "prepare.done"
        if not self.mine:
            model.happened["came too late to send"] += 1
            return
        again = effect.state == "in_doubt"
        if task.stop and not again:
            model.happened["stopped before it was sent"] += 1
            model.drop(task, "cancelled")
            yield "settle.committed"
            return
        if again and (task.stop or not token_valid(effect, model.now)):
            effect.resend, effect.due = False, True
            model.rest(task)
            return
        in_doubt_before = effect.doubt_since is not None
        send = self._intend(effect)
        yield "send.committed"
        self.asking = effect
        yield "asked"
        self.asking = None
        script = self.script
        if script == "lost, on its way":
            model.site.on_way[effect.id] = effect.effect
        if script in LANDS:
            handle = model.site.land(effect.id, effect.effect)
            yield "landed"
            if script == "accepts":
                yield "send.answered"
                if self._bind(effect, send, handle):
                    yield "bind.committed"
                return
        self._hear(effect, send, in_doubt_before)

    def _intend(self, effect: Effect) -> Send:
        model, task = self.model, self.task
        seconds = OPERATIONS[effect.effect].send_seconds
        task.deadline = model.now + seconds + GRACE
        model.sent += 1
        send = Send(model.sent, self.worker, model.now)
        effect.sends.append(send)
        effect.state, effect.send, effect.resend = "sending", send.number, False
        effect.due = False
        effect.first_sent = (
            model.now if effect.first_sent is None else effect.first_sent
        )
        return send

    def _in_time(self, effect: Effect, send: Send) -> bool:
        """True for the send that is still waited for (rule 5)."""
        return effect.state == "sending" and effect.send == send.number

    def _bind(self, effect: Effect, send: Send, handle: str) -> bool:
        send.answered, send.over = True, _first(send.over, self.model.now)
        if not self._in_time(effect, send):
            # Evidence, which whoever asks must use.
            self.model.happened["a late answer named a handle"] += 1
            effect.heard = effect.heard or handle
            effect.due = effect.due or effect.state in ("bound", "in_doubt", "held")
            return False
        effect.state, effect.handle, effect.due = "bound", handle, True
        effect.doubt_since = None
        self.model.rest(self.task)
        self.model.happened["bound"] += 1
        return True

    def _hear(self, effect: Effect, send: Send, in_doubt_before: bool) -> None:
        """Anything but a handle: a definite no, or doubt (rule 2)."""
        model, task, script = self.model, self.task, self.script
        unsent = script in ("not sent", "throttled")
        refused = script in ("refuses", "refuses for now")
        if not self._in_time(effect, send):
            model.happened["a late answer named none"] += 1
            send.over = _first(send.over, model.now)
            if refused:
                send.answered, send.refused = True, _code(script)
            return
        if refused:
            send.answered, send.refused = True, _code(script)
        if in_doubt_before or not (unsent or refused):
            if unsent:
                effect.sends.remove(send)
            send.over = _first(send.over, model.now)
            raise_doubt(model, task, effect)
        elif unsent:
            effect.sends.remove(send)
            effect.state = "planned"
            effect.first_sent = effect.sends[0].at if effect.sends else None
            away = script == "not sent"
            if away and undoing.waits_for_provider(model, task):
                return
            if tries(task) < task.command.retry.attempts and not task.stop:
                try_later(model, task)
            elif task.stop:
                model.drop(task, "cancelled")
            else:
                model.drop(task, "failed", Error(_code(script)))
        else:
            send.over = _first(send.over, model.now)
            effect.state = "refused"
            if not promise_again(model, task, _code(script)):
                model.end(task, "failed", Error(_code(script)))

    def _again(self, code: str) -> bool:
        if not worth_it(self.task, code):
            return False
        try_later(self.model, self.task)
        return True


def _first(one: float | None, other: float) -> float:
    return other if one is None else one


def _code(script: str, lost: str = "lost") -> str:
    codes = {
        "refuses": "refused",
        "refuses for now": AGAIN,
        "throttled": "throttled",
        "not sent": "not-sent",
    }
    return codes.get(script, lost)


def token_valid(effect: Effect, now: float) -> bool:
    """A provider recognises a token for a while, from its first send; a minute before
    that is over, it is not relied on any more (rule 14)."""
    life = OPERATIONS[effect.effect].token_life
    if life is None or effect.first_sent is None:
        return True
    return now < effect.first_sent + life.total_seconds() - 60


def raise_doubt(model: Model, task: Task, effect: Effect) -> None:
    effect.state, effect.due = "in_doubt", True
    effect.doubt_since = _first(effect.doubt_since, model.now)
    model.rest(task)
    model.happened["in doubt"] += 1
