"""Settle: the end of an effect, of an action or of a composite is written down.

One transaction: the author's `finish`, the placeholder, the task, its parent's count,
the root's locks, the audit row. Running it again changes nothing (rule 5).
"""

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from earmark.domain.command import Action, Composite, ExternalJob
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    Stale,
    Unavailable,
)
from earmark.domain.outcome import Done, Failed
from earmark.domain.states import Outcome, PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine.authored import clean, in_tx
from earmark.engine.boundary import boundary
from earmark.engine.doubt import hold_task, raise_doubt
from earmark.engine.enqueue import open_tx
from earmark.engine.results import TaskResults
from earmark.engine.runtime import Engine
from earmark.engine.wake import End, end, failed_with
from earmark.store import placeholders, sends, tasks
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
    """The effect has reached its end at the provider.

    When the author's `finish` raises, nothing of it stands, and the task fails while
    naming the effect that is there (rule 13). Raises `Stale` when somebody else was
    first.
    """

    def settled(tx: Transaction, how: End) -> None:
        task = tasks.lock_family(tx, effect.task_id)
        value = how.result if how.result is not None else _plain(outcome)
        placeholders.move(
            tx,
            effect,
            PlaceholderState.SETTLED,
            next_check_at=None,
            result=value,
            external_id=external_id or effect.external_id,
        )
        end(tx, task, how)

    def well(tx: Transaction) -> None:
        assert isinstance(outcome, Done)
        task = tasks.lock_family(tx, effect.task_id)
        author = open_tx(engine, tx, task)
        in_tx(lambda: command.finish(author, outcome.result))
        good = Outcome.WARNED if outcome.warned else Outcome.OK
        settled(tx, End(good, outcome.message, result=dumped(outcome.result)))

    if isinstance(outcome, Failed):
        how = End.failed(outcome.message, outcome.code)
        engine.write(lambda tx: settled(tx, how))
    else:
        try:
            engine.write(well)
        except (Stale, Unavailable, CommitUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything
            how = _unfinished(error, effect)
            engine.write(lambda tx: settled(tx, how))
    boundary("settle.committed")


def settle_nothing_to_do(
    engine: Engine, task: Task, command: ExternalJob[Any], done: Done[Any]
) -> None:
    """`prepare` saw that the world is already as asked: nothing is sent."""

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        author = open_tx(engine, tx, current)
        in_tx(lambda: command.finish(author, done.result))
        drop_planned(tx, task.id)
        good = Outcome.WARNED if done.warned else Outcome.OK
        end(tx, current, End(good, done.message, result=dumped(done.result)))

    engine.write(work)
    boundary("settle.committed")


def settle_action(
    engine: Engine, task: Task, command: Action[Any], result: Any
) -> None:
    """An action returned: its rows and its end together."""
    done = result if isinstance(result, Done) else Done(result)

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        author = open_tx(engine, tx, current)
        in_tx(lambda: command.finish(author, done.result))
        good = Outcome.WARNED if done.warned else Outcome.OK
        end(tx, current, End(good, done.message, result=dumped(done.result)))

    engine.write(work)
    boundary("settle.committed")


def settle_composite(engine: Engine, task: Task, command: Composite[Any]) -> None:
    """Every child ended well: the author's `finish`, then the end."""
    boundary("finish.started")

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        results = TaskResults(tasks.children(tx, task.id))
        author = open_tx(engine, tx, current)
        result = in_tx(lambda: command.finish(author, results))
        end(tx, current, End(Outcome.OK, result=dumped(result)))

    engine.write(work)
    boundary("settle.committed")


def settle_failed(engine: Engine, task: Task, error: Exception) -> None:
    """The running task failed. It ends only if nothing of it may be at the provider;
    else the effect is in doubt, or held when it was in doubt already (invariant 3)."""
    why = told(error)

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        effect = placeholders.of_task(tx, task.id)
        if effect is not None and effect.state is PlaceholderState.SENDING:
            assert effect.nonce is not None
            sends.over(tx, effect.nonce)
            raise_doubt(tx, current, effect.id, effect.nonce, why)
        elif effect is not None and effect.state is PlaceholderState.IN_DOUBT:
            hold_task(tx, current, effect, why)
        else:
            drop_planned(tx, task.id)
            end(tx, current, failed_with(tx, current, why, code_of(error)))

    engine.write(work)
    boundary("settle.committed")


def settle_stopped(engine: Engine, task: Task) -> None:
    """The task was asked to stop, and nothing of it was ever sent."""

    def work(tx: Transaction) -> None:
        tasks.lock_family(tx, task.id)
        current = tasks.change(tx, task)
        drop_planned(tx, task.id)
        end(tx, current, End(Outcome.CANCELLED, "Stopped before anything was sent."))

    engine.write(work)
    boundary("settle.committed")


def dumped(result: Any) -> Any:
    """A result as plain JSON; raises `EarmarkError` when it cannot be that."""
    try:
        plain = to_jsonable_python(result)
        text = json.dumps(plain, allow_nan=False)
        text.encode()
    except (PydanticSerializationError, ValueError) as error:
        raise EarmarkError(f"The result cannot be stored: {error}") from error
    if "\\u0000" in text or "\\ud8" in text:
        raise EarmarkError("The result cannot be stored: it has NUL or broken text.")
    return plain


def told(error: Exception) -> str:
    """An error as one line for a person."""
    if isinstance(error, EarmarkError):
        return clean(f"{error} {error.hint}").strip()
    text = " ".join(clean(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def code_of(error: Exception) -> str:
    """The code that programs look at."""
    return error.code if isinstance(error, EarmarkError) else "exception"


def _plain(outcome: Done[Any] | Failed) -> Any:
    if isinstance(outcome, Failed):
        return None
    try:
        return dumped(outcome.result)
    except EarmarkError:
        return None


def _unfinished(error: Exception, effect: Placeholder) -> End:
    what = effect.external_id or effect.id
    message = (
        f"The provider's job ended well, but finishing failed: {told(error)} "
        f"Left behind: {effect.operation} {what}."
    )
    return End.failed(message, "finish-failed", left_behind=[what])


def drop_planned(tx: Transaction, task_id: str) -> None:
    """Drop the task's promise, if it is still only that."""
    effect = placeholders.of_task(tx, task_id)
    if effect is not None and effect.state is PlaceholderState.PLANNED:
        placeholders.move(tx, effect, PlaceholderState.DROPPED)
