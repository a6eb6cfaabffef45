"""Poll: follow jobs to their real end, and probe what is in doubt.

One poller at a time per provider (a lease), which asks once for many jobs. It holds no
transaction while it asks, and every write is fenced, so that two pollers, or a late
one, only waste calls. "Accepted" is not "done", and "not found" is not "failed".
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import Operation
from earmark.domain.deadline import Deadline
from earmark.domain.errors import EarmarkError, JobUnknown, NotSent, Stale
from earmark.domain.outcome import Done, Failed, Found, Job, Progress, Running
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine import describe, probe
from earmark.engine.boundary import boundary
from earmark.engine.ctx import EngineCtx
from earmark.engine.doubt import hold
from earmark.engine.enqueue import open_tx
from earmark.engine.runtime import Engine
from earmark.engine.settle import settle_job, told
from earmark.engine.wake import roll_up
from earmark.store import inventory, journal, placeholders, tasks
from earmark.store.database import Transaction

BATCH = 200
CALL_SECONDS = 30.0
#: Errors in a row, other than an unreachable provider, before a person is asked.
ERROR_BUDGET = 20
_LONGEST_PAUSE = timedelta(seconds=30)

Answer = Progress | Exception


class Check:
    """One effect that is due, with its task and command at hand."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        effect: Placeholder,
        command: ExternalJob[Any],
        operation: Operation,
    ) -> None:
        self.engine = engine
        self.task = task
        self.effect = effect
        self.command = command
        self.operation = operation

    def ctx(self, deadline: Deadline) -> EngineCtx:
        """The world, for this effect."""
        return EngineCtx(self.engine, self.task, deadline, self.effect)


def check_provider(engine: Engine, provider_id: str) -> int:
    """Poll and probe what is due at a provider; returns how many were looked at."""
    deadline = Deadline(CALL_SECONDS)
    bound = _due(engine, provider_id, PlaceholderState.BOUND)
    unchanged = []
    for check, answer in _poll(bound, deadline):
        if _says_nothing_new(check, answer):
            unchanged.append(check)
        else:
            _note(check, answer)
    _postpone(engine, unchanged)
    doubtful = _due(engine, provider_id, PlaceholderState.IN_DOUBT)
    for check in doubtful:
        if deadline.passed():
            break  # the rest stays due: the next look begins with it
        _probe(check, deadline)
    return len(bound) + len(doubtful)


def _due(engine: Engine, provider_id: str, state: PlaceholderState) -> list[Check]:
    """What is due; effects of commands that this process does not know are left."""

    broken: list[tuple[Placeholder, str]] = []

    def work(tx: Transaction) -> list[Check]:
        provider = inventory.provider(tx, provider_id)
        checks = []
        for effect in placeholders.due(tx, provider_id, state, BATCH):
            task = tasks.get(tx, effect.task_id)
            if engine.commands.get(task.command, task.command_version) is None:
                continue
            try:
                command = describe.load(engine, task)
                assert isinstance(command, ExternalJob)
                operation = engine.operation(provider, effect.operation)
            except EarmarkError as error:
                broken.append((effect, told(error)))
                continue
            checks.append(Check(engine, task, effect, command, operation))
        return checks

    checks = engine.read(work)
    for effect, why in broken:
        with suppress(Stale):
            hold(engine, effect, why)
    return checks


def _poll(
    checks: Sequence[Check], deadline: Deadline
) -> Iterator[tuple[Check, Answer]]:
    by_command: dict[type[ExternalJob[Any]], list[Check]] = defaultdict(list)
    for check in checks:
        by_command[type(check.command)].append(check)
    for command, group in by_command.items():
        if command.poll_many.__func__ is ExternalJob.poll_many.__func__:  # type: ignore[attr-defined]
            yield from ((check, _ask(check, deadline)) for check in group)
            continue
        jobs = {c.effect.id: _job(c.effect) for c in group}
        try:
            answers: Mapping[str, Any] = command.poll_many(group[0].ctx(deadline), jobs)
        except Exception as error:  # noqa: BLE001 - nothing is concluded from it
            yield from ((check, error) for check in group)
            continue
        boundary("poll.answered")
        missing = JobUnknown("The provider does not know this job.")
        yield from ((c, answers.get(c.effect.id, missing)) for c in group)


def _job(effect: Placeholder) -> Job:
    assert effect.external_id is not None
    assert effect.first_sent_at is not None
    return Job(effect.external_id, effect.first_sent_at)


def _ask(check: Check, deadline: Deadline) -> Answer:
    try:
        job = check.effect.external_id or ""
        answer: Answer = check.command.poll(check.ctx(deadline), job)
    except Exception as error:  # noqa: BLE001 - nothing is concluded from it
        return error
    boundary("poll.answered")
    return answer


def _says_nothing_new(check: Check, answer: Answer) -> bool:
    if not isinstance(answer, Running) or check.effect.checks:
        return False
    return _shown(check.task, answer) == (check.task.progress, check.task.message)


def _shown(task: Task, running: Running) -> tuple[int, str]:
    """What a task shows of a running job: never 100 before the end."""
    percent = task.progress if running.percent is None else running.percent
    return max(0, min(99, percent)), running.message


def _postpone(engine: Engine, unchanged: Sequence[Check]) -> None:
    """Most looks see nothing new: those cost one statement together."""
    by_pause: dict[float, list[str]] = defaultdict(list)
    for check in unchanged:
        by_pause[check.operation.poll_seconds].append(check.effect.id)

    def work(tx: Transaction) -> None:
        for pause, ids in by_pause.items():
            placeholders.postpone(tx, ids, tx.now + timedelta(seconds=pause))

    if unchanged:
        engine.write(work)


def _note(check: Check, answer: Answer) -> None:
    """Write what a poll said. Somebody else's newer word wins silently."""
    engine, effect = check.engine, check.effect
    try:
        match answer:
            case Running():
                engine.write(lambda tx: _progress(tx, check, answer))
            case Done() | Failed():
                settle_job(engine, effect, check.command, answer)
            case JobUnknown():
                engine.write(lambda tx: _lost(tx, check, answer))
            case Exception():
                _failed_to_ask(check, answer)
            case _:
                text = f"{type(check.command).__name__}.poll returned {answer!r}."
                _failed_to_ask(check, EarmarkError(text, code="nonsense"))
    except Stale:
        return


def _progress(tx: Transaction, check: Check, running: Running) -> None:
    task = tasks.lock_family(tx, check.task.id)
    pause = timedelta(seconds=check.operation.poll_seconds)
    placeholders.change(tx, check.effect, next_check_at=tx.now + pause, checks=0)
    percent, message = _shown(task, running)
    if (percent, message) != (task.progress, task.message):
        task = tasks.change(tx, task, progress=percent, message=message)
        roll_up(tx, task)
        check.command.progressed(open_tx(check.engine, tx, task), running)


def _lost(tx: Transaction, check: Check, error: JobUnknown) -> None:
    """The provider does not know the job: look for its effect, conclude nothing."""
    task = tasks.lock_family(tx, check.task.id)
    placeholders.move(
        tx,
        check.effect,
        PlaceholderState.IN_DOUBT,
        doubt_since=tx.now,
        next_check_at=tx.now,
        checks=0,
    )
    placeholders.witness(tx, check.effect.id, "lost", told(error))
    journal.log(tx, task.id, f"In doubt: {told(error)}", "warning")
    tasks.change(tx, task, message=told(error))


def _failed_to_ask(check: Check, error: Exception) -> None:
    """The question failed, which says nothing about the job (rule 4)."""
    effect = check.effect
    if effect.checks + 1 >= ERROR_BUDGET and not _unreachable(error):
        hold(check.engine, effect, f"Asking failed {effect.checks + 1} times: {error}")
        return

    def work(tx: Transaction) -> None:
        pause = check.operation.poll_seconds * 2 ** min(effect.checks, 8)
        until = tx.now + min(timedelta(seconds=pause), _LONGEST_PAUSE)
        # An unreachable provider uses up no budget: silence is not an answer.
        used = effect.checks + 1
        if _unreachable(error):
            used = min(used, ERROR_BUDGET - 1)
        placeholders.change(tx, effect, next_check_at=until, checks=used)
        if effect.checks == 0:
            text = f"The provider could not be asked: {told(error)}"
            placeholders.witness(tx, effect.id, "unanswered", text)
            journal.log(tx, check.task.id, text, "warning")
            tasks.change(tx, tasks.get(tx, check.task.id), message=text)

    check.engine.write(work)


def _unreachable(error: Exception) -> bool:
    return isinstance(error, (NotSent, OSError, TimeoutError))


def _probe(check: Check, deadline: Deadline) -> None:
    engine, effect = check.engine, check.effect
    handle = engine.read(lambda tx: placeholders.late_handle(tx, effect.id))
    try:
        candidates: list[Found] = list(check.command.find(check.ctx(deadline)))
    except Exception as error:  # noqa: BLE001 - nothing is concluded from it
        try:
            _failed_to_ask(check, error)
        except Stale:
            return
        return
    boundary("probe.answered")
    if handle is not None and not any(found.id == handle for found in candidates):
        # Our own send heard this name from the provider: that is proof.
        candidates.insert(0, Found(handle, mark=effect.id))
    now = engine.read(lambda tx: tx.now)
    try:
        judgement = probe.judge(
            effect,
            check.operation,
            candidates,
            now,
            stopping=check.task.stop_requested,
        )
        probe.apply(engine, effect, check.command, judgement)
    except Stale:
        return
