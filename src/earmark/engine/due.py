"""Due: which effects are to be asked about now, with all that asking needs."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from earmark.domain.command import ExternalJob
from earmark.domain.connector import Operation
from earmark.domain.deadline import Deadline
from earmark.domain.errors import (
    CommitUnknown,
    EarmarkError,
    Stale,
    Unavailable,
)
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder, Task
from earmark.engine import describe
from earmark.engine.asking import AskingCtx, knows_request
from earmark.engine.away import unreachable
from earmark.engine.doubt import hold
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.store import inventory, journal, placeholders, tasks
from earmark.store.database import Transaction
from earmark.store.sends import Send

_log = logging.getLogger(__name__)

BATCH = 200
#: Errors in a row, other than an unreachable provider, before a person is asked.
ERROR_BUDGET = 20
_LONGEST_PAUSE = timedelta(seconds=30)


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
        #: What was known when the provider was asked about a doubt: every send of it,
        #: and the time. See `look.py`.
        self.made: Sequence[Send] = ()
        self.asked_at = datetime.min.replace(tzinfo=UTC)

    @property
    def knows_request(self) -> bool:
        """False when what was asked for has to be worked out first."""
        return knows_request(self.task, self.effect, self.command)

    def ctx(self, deadline: Deadline) -> AskingCtx:
        """The world, for this effect."""
        return AskingCtx(self.engine, self.task, deadline, self.effect, self.command)


def by_command(
    checks: Iterable[Check],
) -> dict[type[ExternalJob[Any]], list[Check]]:
    """The checks of each command: what a command can ask about together."""
    groups: dict[type[ExternalJob[Any]], list[Check]] = defaultdict(list)
    for check in checks:
        groups[type(check.command)].append(check)
    return groups


def due(engine: Engine, provider_id: str, state: PlaceholderState) -> list[Check]:
    """What is due at a provider, of the commands that this process knows. An effect
    whose command cannot be read is held, and stands in nobody's way."""
    broken: list[tuple[Placeholder, str]] = []

    def work(tx: Transaction) -> list[Check]:
        provider = inventory.provider(tx, provider_id)
        checks = []
        known = engine.commands.pairs()
        effects = placeholders.due(tx, provider_id, state, known, BATCH)
        of = tasks.by_ids(tx, [effect.task_id for effect in effects])
        for effect in effects:
            task = of[effect.task_id]
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
        alone(effect, partial(hold, engine, effect, why))
    return checks


def alone(effect: Placeholder, write: Callable[[], None]) -> None:
    """Write down what went wrong with one effect. When not even that can be done, it is
    that effect's bad luck, and the others are looked at all the same."""
    try:
        write()
    except Stale:
        return
    except (Unavailable, CommitUnknown):
        raise
    except Exception:  # noqa: BLE001 - a mistake of our own
        _log.exception("effect %s: what went wrong cannot be written", effect.id)


def postpone(engine: Engine, checks: Iterable[Check]) -> None:
    """Most looks see nothing new: those cost one statement together."""
    by_pause: dict[float, list[str]] = {}
    for check in checks:
        by_pause.setdefault(check.operation.poll_seconds, []).append(check.effect.id)

    def work(tx: Transaction) -> None:
        for pause, ids in by_pause.items():
            placeholders.postpone(tx, ids, tx.now + timedelta(seconds=pause))

    if by_pause:
        engine.write(work)


def failed_to_ask(check: Check, error: Exception) -> None:
    """The question failed, which says nothing about the job (rule 4).

    An unreachable provider uses up no patience: silence is not an answer. Raises
    `Stale` when somebody else was first.
    """
    effect = check.effect
    errors = effect.errors + (0 if unreachable(error) else 1)
    if errors >= ERROR_BUDGET:
        hold(check.engine, effect, f"Asking failed {errors} times: {told(error)}")
        return

    def work(tx: Transaction) -> None:
        task = tasks.lock_family(tx, check.task.id)
        pause = check.operation.poll_seconds * 2 ** min(effect.checks, 8)
        placeholders.change(
            tx,
            effect,
            next_check_at=tx.now + min(timedelta(seconds=pause), _LONGEST_PAUSE),
            checks=effect.checks + 1,
            errors=errors,
        )
        if effect.checks == 0:
            text = f"The provider could not be asked: {told(error)}"
            placeholders.witness(tx, effect.id, "unanswered", text)
            journal.log(tx, task.id, text, "warning")
            tasks.change(tx, task, message=text)

    check.engine.write(work)
