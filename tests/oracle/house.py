"""The engine's side of the oracle: one engine for all examples, whose clock and whose
ids are the test's, and the threads in which workers are held up or killed."""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.inventory import Provider
from earmark.domain.task import Placeholder, Task
from earmark.engine import enqueue as enqueuing
from earmark.engine import not_undone
from earmark.engine.boundary import Killed, watched
from earmark.engine.claim import claim
from earmark.engine.perform import perform
from earmark.engine.poll import check_provider
from earmark.engine.runtime import Engine
from earmark.store import dialect, inventory, placeholders, queue, tasks
from earmark.store.columns import metadata
from earmark.store.database import Transaction
from earmark.store.schema import idempotency, lock_queue, sends
from earmark.store.schema import locks as lock_table
from earmark.store.schema import placeholders as placeholder_table
from tests.oracle import undoing
from tests.oracle.commands import KNOWN
from tests.oracle.model import Model
from tests.oracle.site import OracleConnector, Site
from tests.oracle.workers import ZONES, Worker

SECONDS = 30.0
BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
#: The house itself, which stays from one example to the next.
_KEPT = {"installation", "clock", "zones", "providers"}


class House:
    """The engine, and what it looks like from outside."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.connector = OracleConnector()
        self.now = 0.0
        self._ids = itertools.count()
        self._sleepers: dict[int, Sleeper] = {}
        engine.connectors = {**engine.connectors, "oracle": self.connector}
        for command in KNOWN:
            engine.commands.register(command)
        known = {command.__name__ for command in KNOWN}
        self._pairs = [p for p in engine.commands.pairs() if p[0] in known]
        engine.write(lambda tx: inventory.add_zone(tx, "east"))
        for name, zone in ZONES.items():
            row = Provider(name, name, "oracle", zone, {})
            engine.write(lambda tx, row=row: inventory.add_provider(tx, row))  # type: ignore[misc]

    @property
    def site(self) -> Site:
        return self.connector.world.site

    @contextmanager
    def open(self) -> Iterator["House"]:
        """The store's time and the ids of roots are ours; instants are met."""
        # No plug is pulled here, so nothing need wait for a disk.
        pool = self.engine.database.engine
        if self.engine.database.file is not None:
            sa.event.listen(pool, "connect", _leave_the_disk_alone)
        pool.dispose()
        with pytest.MonkeyPatch.context() as patch, watched(self.meet):
            patch.setattr(dialect, "now", lambda connection: self.time())
            patch.setattr(enqueuing, "new_id", self._new_id)
            patch.setattr(not_undone, "PATIENCE", undoing.PATIENCE)
            yield self

    def time(self) -> datetime:
        return BEGAN + timedelta(seconds=self.now)

    def _new_id(self) -> str:
        """Roots far enough apart for the ids of all their parts to lie in between."""
        high = (next(self._ids) * 1000 + (1 << 40)) << 16 | 7 << 12
        return str(uuid.UUID(int=high << 64 | 0b10 << 62))

    def fresh(self) -> None:
        """Nothing was ever asked for, of us or of the provider."""

        def clear(tx: Transaction) -> None:
            for table in reversed(metadata.sorted_tables):
                if table.name.removeprefix("earmark_") not in _KEPT:
                    tx.execute(sa.delete(table))

        self.engine.write(clear)
        # The same ids in every example: those of parts decide who is claimed first.
        self.now, self._ids = 0.0, itertools.count()
        world = self.connector.world
        world.site, world.meet = Site(), self.meet
        world.scripts.clear()

    def claim(self, worker: Worker, limit: int) -> list[Task]:
        known = tuple(p for p in self._pairs if not worker.old or p[1] == 1)
        appetite = queue.Appetite(worker.zone, worker.roles, known)
        return claim(self.engine, appetite, worker.name, limit)

    def attempt(self, task: Task, script: str) -> Callable[[], None]:
        """The attempt of a claimed task; `script` is what will come of its send."""
        self.connector.world.scripts[task.id, task.attempt] = script
        return lambda: perform(self.engine, task)

    def check(self, provider: str, order: list[str]) -> int:
        """Ask about all that is to be asked about, due or not, in this order."""
        soon = {token: number for number, token in enumerate(order)}

        def hurry(tx: Transaction) -> None:
            waiting = placeholder_table.c.next_check_at.is_not(None)
            query = sa.select(placeholder_table.c.id).where(waiting)
            for token in tx.execute(query).scalars().all():
                at = tx.now - timedelta(seconds=1, microseconds=-soon.get(token, 0))
                this = placeholder_table.c.id == token
                change = sa.update(placeholder_table).where(this)
                tx.execute(change.values(next_check_at=at))

        self.engine.write(hurry)
        return check_provider(self.engine, provider)

    def meet(self, name: str) -> None:
        """An instant has come, in whichever thread."""
        sleeper = self._sleepers.get(threading.get_ident())
        if sleeper is not None:
            sleeper.meet(name)

    def asleep(self, at: str, work: Callable[[], object]) -> "Sleeper":
        """Work in a thread of its own until it comes to an instant."""
        return Sleeper(self._sleepers, at, work)


def _leave_the_disk_alone(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class Sleeper:
    """A thread that is stopped at an instant of its work, as SIGSTOP would do it."""

    def __init__(
        self, others: dict[int, "Sleeper"], at: str, work: Callable[[], object]
    ) -> None:
        self._others, self._at, self._work = others, at, work
        self._killed = self.asleep = False
        self._error: BaseException | None = None
        #: It sleeps, or it has come to its end.
        self._resting, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._resting.wait(SECONDS), f"neither at {at} nor at an end"
        self._look()

    def meet(self, name: str) -> None:
        if name != self._at or self.asleep:
            return
        self.asleep = True
        self._resting.set()
        assert self._woken.wait(SECONDS), "nobody woke it up"
        if self._killed:
            raise Killed(name)

    def wake(self) -> None:
        """It goes on to its end."""
        self._woken.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        self._look()

    def die(self) -> None:
        """It is killed in its sleep."""
        self._killed = True
        self.wake()

    def _look(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        self._others[threading.get_ident()] = self
        try:
            self._work()
        except Killed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            del self._others[threading.get_ident()]
            self._resting.set()


_TASK = (
    "state", "step", "outcome", "verdict", "pending", "attempt", "tries", "recoveries",
    "cancelled_by", "priority", "zone",
)  # fmt: skip
Facts = dict[str, dict[str, Any]]


def seen(engine: Engine) -> Facts:
    """Everything observable, by names that tell what it is."""

    def look(tx: Transaction) -> Facts:
        every = [tasks.from_row(row) for row in tx.execute(tasks.select_tasks())]
        made: dict[str, list[str]] = {}
        for row in tx.execute(
            sa.select(sends).order_by(sends.c.sent_at, sends.c.nonce)
        ):
            over = "answered" if row.answered else _since(row.over_at)
            made.setdefault(row.placeholder_id, []).append(f"{row.sender_id} {over}")
        fields = [placeholder_table.c[n] for n in Placeholder.__slots__]
        effects = [placeholders.from_row(r) for r in tx.execute(sa.select(*fields))]
        facts: Facts = {task.id: _task_facts(task) for task in every}
        for it in effects:
            facts[it.id] = {
                "state": str(it.state),
                "task": it.task_id,
                "handle": it.external_id,
                "first sent": _since(it.first_sent_at),
                "doubt since": _since(it.doubt_since),
                "asked to stop": _since(it.cancel_asked_at),
                "undone": it.undone_at is not None,
                "to be checked": it.next_check_at is not None
                and it.state in ("bound", "in_doubt", "held"),
                "sends": made.get(it.id, []),
            }
        facts["keys"] = {
            it.key: it.task_id for it in tx.execute(sa.select(idempotency))
        }
        for name, table in (("held by", lock_table), ("queued for by", lock_queue)):
            facts[name] = {
                f"{row.name} {row.root_id}": row.mode
                for row in tx.execute(sa.select(table))
            }
        return facts

    return engine.read(look)


def _task_facts(task: Task) -> dict[str, Any]:
    facts = {name: getattr(task, name) for name in _TASK}
    facts |= {n: str(v) for n, v in facts.items() if n in ("state", "step")}
    facts |= {n: v and str(v) for n, v in facts.items() if n in ("outcome", "verdict")}
    error = task.error or {}
    return facts | {
        "parent": task.parent_id,
        "stop": task.stop_requested,
        "retry of": task.retry_of,
        "code": error.get("code") if task.done else None,
        "left behind": _titles(error) if task.done else None,
        "taken back": sorted(error.get("undone", ())) if task.done else None,
        "undoes": task.undoes_id,
        "worker": task.worker_id if task.state == "running" else None,
        "not before": _since(task.run_after) if task.state == "queued" else None,
        "deadline": _since(task.deadline_at),
        "start by": _since(task.start_by),
        "end by": _since(task.end_by),
        "started": _since(task.started_at),
        "finished": _since(task.finished_at),
    }


def _titles(error: Mapping[str, Any]) -> list[str]:
    """Of what is told as left behind, which has its title at the end."""
    told: set[str] = set()
    for line in error.get("left_behind", ()):
        perhaps = "perhaps " if line.startswith("perhaps ") else ""
        title = line.partition("“")[2].partition("”")[0]
        told.add(f"{perhaps}{title}" if title else "?")
    return sorted(told)


def _since(at: datetime | None) -> float | None:
    return None if at is None else round((at - BEGAN).total_seconds(), 3)


def foreseen(model: Model) -> Facts:
    """The same, as the model has it."""
    ids = {root.name: root.id for root in model.roots.values()}
    facts: Facts = {}
    for it in model.every():
        values = {name: getattr(it, name) for name in _TASK}
        facts[it.id] = values | {
            "parent": it.parent.id if it.parent else None,
            "stop": it.stop,
            "retry of": ids[it.retry_of] if it.retry_of else None,
            "code": it.error.code if it.done and it.error else None,
            "left behind": sorted(it.error.left if it.error else ())
            if it.done
            else None,
            "taken back": sorted(it.error.undone if it.error else ())
            if it.done
            else None,
            "undoes": it.undoes.id if it.undoes else None,
            "worker": it.worker if it.state == "running" else None,
            "not before": it.run_after if it.state == "queued" else None,
            "deadline": it.deadline,
            "start by": it.start_by,
            "end by": it.end_by,
            "started": it.started,
            "finished": it.finished,
        }
    for task, effect in model.all_effects():
        facts[effect.id] = {
            "state": effect.state,
            "task": task.id,
            "handle": effect.handle,
            "first sent": effect.first_sent,
            "doubt since": effect.doubt_since,
            "asked to stop": effect.asked_to_stop,
            "undone": effect.undone,
            "to be checked": effect.due
            and effect.state in ("bound", "in_doubt", "held"),
            "sends": [
                f"{one.sender} {'answered' if one.answered else one.over}"
                for one in effect.sends
            ],
        }
    facts["keys"] = {
        key: ids.get(root) or model.forgotten[root][1]
        for key, (_, root) in model.keys.items()
    }
    for name, table in (("held by", model.held), ("queued for by", model.queued)):
        facts[name] = {
            f"{lock} {ids[root]}": mode.value
            for root, theirs in table.items()
            for lock, mode in theirs.items()
        }
    return facts


def differences(engine: Engine, model: Model) -> list[str]:
    """What is not as the model says, by the model's names."""
    there, wanted = seen(engine), foreseen(model)
    names = {it.id: it.name for it in model.every()}
    names |= {effect.id: effect.name for _, effect in model.all_effects()}
    told = []
    for key in sorted({*there, *wanted}, key=str):
        name = names.get(key, key)
        if key not in there or key not in wanted:
            told.append(f"{name} is {'not ' if key not in there else ''}there")
            continue
        for what in sorted({*there[key], *wanted[key]}):
            one, other = there[key].get(what), wanted[key].get(what)
            if one != other:
                told.append(f"{name}: {what} is {one!r}, the model has {other!r}")
    return told
