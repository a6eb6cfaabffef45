"""Settle: the end of an effect, of an action or of a composite is written down.

One transaction: the author's `finish`, the placeholder, the task, its parent's count,
the root's locks, the audit row. Running it again changes nothing (rule 5).
"""

from collections.abc import Callable
from typing import Any

from earmark.domain.command import Action, Command, ExternalJob
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    Stale,
    Unavailable,
)
from earmark.domain.outcome import Done, Failed
from earmark.domain.states import Outcome, PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.again import promise_again, tries_of, try_later, worth_it
from earmark.engine.authored import clean, in_tx
from earmark.engine.away import unreachable
from earmark.engine.boundary import boundary
from earmark.engine.doubt import ask_first, hold_task, raise_doubt
from earmark.engine.end import End
from earmark.engine.enqueue import open_tx
from earmark.engine.left_behind import failed_with
from earmark.engine.not_undone import wait_for_provider
from earmark.engine.results import dumped
from earmark.engine.runtime import Engine
from earmark.engine.seal import seal
from earmark.engine.told import code_of, told
from earmark.engine.tx import EngineTx
from earmark.engine.wake import drop, end
from earmark.store import locks, placeholders, sends, tasks
from earmark.store.database import Transaction


class Stopped(Exception):
    """The stop flag was up before anything was sent (rule 10)."""


def settle_job(
    engine: Engine,
    effect: Placeholder,
    command: ExternalJob[Any],
    outcome: Done[Any] | Failed,
    external_id: str | None = None,
) -> None:
    """The effect has reached its end at the provider; `external_id` is its handle, if
    it was found only now.

    When the author's `finish` raises, nothing of it stands, and the task fails although
    the effect is there (rule 13). Raises `Stale` when somebody else was first.
    """
    handle = external_id or effect.external_id
    if isinstance(outcome, Failed):
        engine.write(lambda tx: _job_failed(tx, effect, command, outcome, handle))
    else:
        try:
            engine.write(
                lambda tx: _job_done(engine, tx, effect, command, outcome, handle)
            )
        except (Stale, Unavailable, CommitUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything
            why, result = told(error), _plain(outcome)
            engine.write(lambda tx: _job_unfinished(tx, effect, why, result, handle))
    boundary("settle.committed")


def _settled(
    tx: Transaction,
    effect: Placeholder,
    handle: str | None,
    *,
    well: bool,
    result: Any = None,
) -> Placeholder:
    return placeholders.move(
        tx,
        effect,
        PlaceholderState.SETTLED,
        next_check_at=None,
        ended_well=well,
        result=result,
        external_id=handle,
    )


def _job_done(
    engine: Engine,
    tx: Transaction,
    effect: Placeholder,
    command: ExternalJob[Any],
    outcome: Done[Any],
    handle: str | None,
) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    how = _good(author := open_tx(engine, tx, task), task, outcome)
    # With a verdict it was to fail, and was only followed to its end (rule 8).
    if task.verdict is None:
        in_tx(lambda: command.finish(author, outcome.result))
    _settled(tx, effect, handle, well=True, result=how.result)
    end(tx, task, how if task.verdict is None else _too_late(tx, task))


def _job_unfinished(
    tx: Transaction, effect: Placeholder, why: str, result: Any, handle: str | None
) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    _settled(tx, effect, handle, well=True, result=result)
    text = f"The provider's job ended well, but finishing failed: {why}"
    end(tx, task, failed_with(tx, task, text, "finish-failed"))


def _job_failed(
    tx: Transaction,
    effect: Placeholder,
    command: ExternalJob[Any],
    outcome: Failed,
    handle: str | None,
) -> None:
    task = tasks.lock_family(tx, effect.task_id)
    over = _settled(tx, effect, handle, well=False)
    if task.cancelled_by is not None and effect.cancel_asked_at is not None:
        end(tx, task, End.cancelled(f"Stopped at the provider: {outcome.message}"))
        return
    code, said = outcome.code, clean(outcome.message)
    if not promise_again(tx, task, over, command, code, said):
        end(tx, task, failed_with(tx, task, said, code))


def settle_nothing_to_do(
    engine: Engine, task: Task, command: ExternalJob[Any], done: Done[Any]
) -> None:
    """`prepare` saw that the world is already as asked: nothing is sent."""

    def work(tx: Transaction, current: Task) -> None:
        author = open_tx(engine, tx, current)
        in_tx(lambda: command.finish(author, done.result))
        how = _good(author, current, done)
        drop(tx, current, placeholders.of_task(tx, task.id), how)

    _settle(engine, task, work)


def settle_action(
    engine: Engine, task: Task, command: Action[Any], result: Any
) -> None:
    """An action returned: its rows and its end together."""
    done = result if isinstance(result, Done) else Done(result)

    def work(tx: Transaction, current: Task) -> None:
        author = open_tx(engine, tx, current)
        in_tx(lambda: command.finish(author, done.result))
        end(tx, current, _good(author, current, done))

    _settle(engine, task, work)


def settle_failed(
    engine: Engine, task: Task, error: Exception, command: Command[Any] | None = None
) -> None:
    """The running task failed. It ends only if nothing of it may be at the provider;
    else the effect is in doubt, or held when it was in doubt already (invariant 3);
    while its provider is away, it stays in doubt."""
    why, code = told(error), code_of(error)

    def work(tx: Transaction, current: Task) -> None:
        effect = placeholders.of_task(tx, task.id)
        if effect is not None and effect.state is PlaceholderState.SENDING:
            assert effect.nonce is not None
            sends.over(tx, effect.nonce)
            raise_doubt(tx, current, effect.id, effect.nonce, why)
        elif effect is not None and effect.state is PlaceholderState.IN_DOUBT:
            if command is not None and unreachable(error):
                pause = command.retry.pause(tries_of(current))
                ask_first(tx, current, effect, f"Not sent again yet: {why}", pause)
            else:
                hold_task(tx, current, effect, why)
        elif current.stop_requested and isinstance(command, Action):
            end(tx, current, End.cancelled(f"It stopped: {why}"))
        elif command is not None and worth_it(current, command, code):
            try_later(tx, current, command.retry, why)
        elif not (
            effect is not None
            and effect.only_promised
            and wait_for_provider(tx, current, error, why)
        ):
            drop(tx, current, effect, failed_with(tx, current, why, code))

    _settle(engine, task, work)


def settle_stopped(engine: Engine, task: Task) -> None:
    """The task was asked to stop, and nothing of it was ever sent."""

    def work(tx: Transaction, current: Task) -> None:
        how = End.cancelled("Stopped before anything was sent.")
        drop(tx, current, placeholders.of_task(tx, task.id), how)

    _settle(engine, task, work)


def _settle(
    engine: Engine, task: Task, work: Callable[[Transaction, Task], None]
) -> None:
    """Settle a running task, while its attempt is still in charge."""

    def fenced(tx: Transaction) -> None:
        locks.lock_family(tx, task)
        work(tx, tasks.change(tx, task))

    engine.write(fenced)
    boundary("settle.committed")


def _good(author: EngineTx, task: Task, done: Done[Any]) -> End:
    # The root's, whose end is the last that can ask for it.
    result = dumped(seal(author, done.result, task.root_id))
    outcome = Outcome.WARNED if done.warned else Outcome.OK
    return End(outcome, done.message, result=result)


def _plain(outcome: Done[Any]) -> Any:
    try:
        return dumped(outcome.result)
    except EarmarkError:
        return None


def _too_late(tx: Transaction, task: Task) -> End:
    """The end of a job that came well to its end after its task's verdict."""
    error = task.error or {"code": "failed", "message": ""}
    return failed_with(tx, task, error["message"], error["code"])
