"""A worker process: its loops, from registration to drain."""

import logging
import signal
import threading
from collections.abc import Sequence
from dataclasses import asdict

from earmark.domain.errors import EarmarkError
from earmark.domain.ids import new_id
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.store import epoch, inventory, queue, sends, tasks, workers
from earmark.store.database import Transaction
from earmark.store.identity import own_identity
from earmark.store.wakeups import Topic
from earmark.worker.guard import guard_writers
from earmark.worker.heartbeat import Heartbeat
from earmark.worker.looper import Looper
from earmark.worker.poller import Poller
from earmark.worker.recoverer import Recoverer
from earmark.worker.runner import Runner
from earmark.worker.scheduler import Scheduler

_log = logging.getLogger(__name__)

EXIT_DRAINED = 0
EXIT_REPLACE = 3


class Worker:
    """One worker: knows its zone and roles, and runs until told to stop."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.id = new_id()
        self._engine = engine
        self._settings = settings
        self._ending = threading.Event()
        self._exit = EXIT_DRAINED
        appetite = queue.Appetite(
            settings.zone, settings.roles, engine.commands.pairs()
        )
        self._heartbeat = Heartbeat(
            engine, self.id, settings.beat_seconds, self._replace
        )
        self._runner = Runner(
            engine,
            appetite,
            self.id,
            settings.slots,
            self._replace,
            self._same_store,
        )
        self._poller = Poller(engine, settings.zone, self.id, self._replace)
        self._recoverer = Recoverer(
            engine, self.id, self._heartbeat, settings.silence_seconds
        )
        self._scheduler = Scheduler(
            engine, self.id, settings.refresh_seconds, settings.sweep_seconds
        )

    def run(self) -> int:
        """Work until `stop`, then drain; returns the exit code."""
        guard = self._guard()
        self._heard(self._engine.write(self._register))
        wakeups = self._engine.database.wakeups
        with (
            wakeups.subscribe(Topic.QUEUE) as queued,
            wakeups.subscribe(Topic.CHECKS) as due,
        ):
            claims = Looper("runner", self._runner.round, queued)
            polls = Looper("poller", self._poller.round, due)
            others = [
                Looper("heartbeat", self._heartbeat.round),
                Looper("recoverer", self._recoverer.round),
                Looper("scheduler", self._scheduler.round),
            ]
            self._runner.on_free = claims.nudge
            self._poller.on_checked = polls.nudge
            for looper in (*others, polls, claims):
                looper.start()
            zone = self._settings.zone
            print(f"worker ready {self.id} zone {zone}", flush=True)
            # Not without a timeout: a signal that another thread receives is handled
            # by this one only once it runs again.
            while not self._ending.wait(1.0):
                continue
            self._drain(claims, [polls, *others, *guard])
        return self._exit

    def _guard(self) -> list[Looper]:
        """On SQLite, watch that nobody sits on the write lock (rule 16)."""
        file = self._engine.database.file
        if file is None:
            return []
        return [guard_writers(file, self._settings.writer_seconds)]

    def stop(self) -> None:
        """Ask for the drain; safe in a signal handler."""
        self._ending.set()

    def _replace(self) -> None:
        """This process is worn out, or was declared gone: end it for a fresh one."""
        self._exit = EXIT_REPLACE
        self._ending.set()

    def _register(self, tx: Transaction) -> int:
        inventory.check_zone(tx, self._settings.zone)
        identity = asdict(own_identity())
        values = {
            "id": self.id,
            "zone": self._settings.zone,
            "roles": list(self._settings.roles),
            "commands": [list(pair) for pair in self._engine.commands.pairs()],
            "slots": self._settings.slots,
        }
        workers.register(tx, values | identity)
        return epoch.confirm(tx, self._engine.database.file)

    def _heard(self, heard: int) -> None:
        """The store has counted to this, and will not show less (rule 15)."""
        self._heartbeat.heard = heard
        epoch.remember(self._engine.database.file, heard)

    def _drain(self, claims: Looper, others: Sequence[Looper]) -> None:
        """Claim nothing more, let calls under way end, and say goodbye."""
        _log.info("worker %s drains", self.id)
        self._heartbeat.state = "draining"
        claims.stop()
        # They end only when people do: nobody waits for that.
        self._engine.attendants.stop("the worker was stopped")
        no_more = claims.join(5)
        if not self._runner.wait_idle(self._settings.drain_seconds):
            _log.warning("worker %s leaves %d calls", self.id, self._runner.busy)
        if no_more:
            self._let_go()
        for looper in others:
            looper.stop()
        for looper in others:
            looper.join(2)
        goodbye = self._engine.write(lambda tx: self._say_goodbye(tx, no_more))
        self._heard(goodbye)

    def _let_go(self) -> None:
        """Of what broke off, or was claimed unheard, in the last moment."""
        try:
            self._runner.compare()
        except EarmarkError as error:  # others see to it, once this process is gone
            _log.warning("worker %s leaves what it has: %s", self.id, error)

    def _same_store(self, tx: Transaction) -> bool:
        """Whether no older copy was put back since the last beat (rule 15)."""
        file = self._engine.database.file
        return epoch.unchanged(tx, file, self._heartbeat.heard)

    def _say_goodbye(self, tx: Transaction, no_more: bool) -> int:
        workers.give_up_leases(tx, self.id)
        # With a claim under way, or calls left, written off or not, the row stays until
        # others have seen that the process is gone: only that proves that they send
        # nothing.
        if no_more and self._runner.idle:
            sends.sender_gone(tx, self.id)
            if not tasks.running_of(tx, self.id):  # nobody needs to recover anything
                workers.set_state(tx, self.id, "stopped", of=workers.ALIVE)
        return epoch.confirm(tx, self._engine.database.file, self._heartbeat.heard)


def run_worker(engine: Engine, settings: Settings) -> int:
    """Run a worker in this process until SIGTERM or SIGINT; returns the exit code.

    0 after a drain, 3 when a fresh process should take its place. Raises `UnknownName`
    for a zone that does not exist.
    """
    worker = Worker(engine, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    return worker.run()
