"""The house that the soak storms: real workers, a real web process and a lab, on a
SQLite file or on PostgreSQL by way of proxies, each process by its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from earmark.app import open_engine
from earmark.domain.settings import Settings
from tests.acceptance.house import House
from tests.peers import nursery
from tests.peers.lab import LabProcess, eventually
from tests.peers.nursery import Forked
from tests.peers.pg_proxy import PostgresProxy
from tests.soak import fleet
from tests.soak.deeds import WEB, WORKERS
from tests.web.house import free_port

#: How a worker may end that nobody killed or asked to: to be replaced by a fresh one;
#: and when the database could not be reached as it started.
_REPLACE, _UNAVAILABLE = 3, 69
_END_SECONDS = 20.0


class Estate:
    """A house with a lab, three workers and a web process, all running.

    `slots` are the workers and, last, the web: what ends there is begun again by
    `keep_up`. `sites` are the proxies of the slots; none on SQLite.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(
            database_url=url,
            secret_key_file=folder / "secret.key",
            beat_seconds=0.4,
            silence_seconds=2.0,
            drain_seconds=5.0,
            writer_seconds=3.0,
        )
        self.web_url = f"http://127.0.0.1:{free_port()}"
        self.log = folder / "processes.log"
        self.lab = LabProcess(
            folder / "lab", copy_seconds=0.4, power_seconds=0.3, short_seconds=0.2
        )
        self.on_sqlite = url.startswith("sqlite")
        self.proxies: list[PostgresProxy] = []
        self.slots: list[Forked | None] = [None] * (WORKERS + 1)
        self.down_until = [0.0] * (WORKERS + 1)
        self.alone: Counter[str] = Counter()
        """How processes ended by themselves."""
        self._killed: set[int] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            fleet.furnish(self.lab.state)
            self.engine = open_engine(self.settings, create=True)
            stack.callback(self.engine.close)
            stack.enter_context(self.lab)
            if not self.on_sqlite:
                proxies = (
                    PostgresProxy(self.settings.database_url) for _ in self.slots
                )
                self.proxies = [stack.enter_context(proxy) for proxy in proxies]
            house = House(self.engine, self.settings, self.lab, self.log)
            self.house = stack.enter_context(house)
            self.house.add_lab()
            self.all_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def web_answers(self) -> bool:
        """Whether the web process is there."""
        try:
            return httpx.get(f"{self.web_url}/healthz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def keep_up(self) -> None:
        """Begin again what has ended, as the supervisor would."""
        for slot, process in enumerate(self.slots):
            if process is not None and process.poll() is not None:
                if process.pid not in self._killed:
                    self.alone[f"{_name(slot)}: {process.returncode}"] += 1
                self.slots[slot] = None
            if self.slots[slot] is None and time.monotonic() >= self.down_until[slot]:
                self.slots[slot] = self._start(slot)

    def all_up(self) -> None:
        """Begin what is down at once, and wait for the web."""
        self.down_until = [0.0] * len(self.slots)
        self.keep_up()
        eventually(self.web_answers, "the web", 30)

    def kill(self, slot: int, down: float = 0.0) -> None:
        """SIGKILL what is there, if it is, and leave it down for so many seconds."""
        process = self.slots[slot]
        if process is None:
            return
        self._killed.add(process.pid)
        process.kill()
        process.wait(_END_SECONDS)
        self.slots[slot] = None
        self.down_until[slot] = time.monotonic() + down

    def stop_workers(self) -> list[str]:
        """Ask the workers to end, and the web; tells what did not end well."""
        asked = [(slot, it) for slot, it in enumerate(self.slots) if it is not None]
        for _, process in asked:
            process.terminate()
        wrong = []
        for slot, process in asked:
            try:
                status = process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                wrong.append(f"left over: {_name(slot)} {process.pid} does not end")
            else:
                if status not in (0, _REPLACE):
                    wrong.append(f"left over: {_name(slot)} ended with {status}")
            self.slots[slot] = None
        return wrong

    def strange_ends(self) -> list[str]:
        """Ends of processes that nobody caused and no rule explains."""
        # The guard ends a process that sits on SQLite's write lock (rule 16): one that
        # was stopped just there.
        known = {_REPLACE, -signal.SIGKILL if self.on_sqlite else _UNAVAILABLE}
        return [
            f"ended by itself: {what}, {count} times; see {self.log}"
            for what, count in self.alone.items()
            if int(what.rpartition(" ")[2]) not in known
        ]

    def _start(self, slot: int) -> Forked:
        settings = self.settings
        url = self.proxies[slot].url if self.proxies else settings.database_url
        environment = {
            **os.environ,
            "EARMARK_DATABASE_URL": url,
            "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
            "EARMARK_BEAT_SECONDS": str(settings.beat_seconds),
            "EARMARK_SILENCE_SECONDS": str(settings.silence_seconds),
            "EARMARK_DRAIN_SECONDS": str(settings.drain_seconds),
            "EARMARK_WRITER_SECONDS": str(settings.writer_seconds),
        }
        words = ["web", "--bind", self.web_url.removeprefix("http://")]
        if slot != WEB:
            words = ["worker"]
        with self.log.open("ab") as log:
            return nursery.start(
                nursery.EARMARK, words, env=environment, stdout=log, stderr=log
            )


def _name(slot: int) -> str:
    return "web" if slot == WEB else "worker"
