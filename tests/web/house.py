"""Earmark as it runs: a lab, a worker and a web process on one SQLite file."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from earmark.app import open_engine
from earmark.commands import RefreshProvider, onboarding
from earmark.domain.inventory import Provider
from earmark.domain.settings import Settings
from earmark.engine.enqueue import transact
from earmark.engine.wait import wait
from tests.peers import nursery
from tests.peers.lab import PASSWORD, LabProcess

READY_SECONDS = 30


class Program:
    """`earmark VERB …` as a process of its own."""

    def __init__(
        self, words: list[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self._words = words
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: nursery.Forked | None = None
        self.said = ""

    def start(self) -> None:
        assert self._process is None, "it runs already"
        with self._log.open("ab") as log:
            self._process = nursery.start(
                nursery.EARMARK,
                self._words,
                env=self._environment,
                stdout=nursery.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline().decode().strip()
        assert " ready " in self.said, f"{self.said!r}: {self._log.read_text()}"

    def pids(self) -> list[int]:
        """It and its children."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End it; returns how long that took."""
        if self._process is None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return time.monotonic() - began


class House:
    """Everything at once; the engine beside it is for looking, and for setting up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(
            database_url=f"sqlite:///{folder / 'earmark.db'}",
            secret_key_file=folder / "secret.key",
            beat_seconds=0.3,
        )
        self.engine = open_engine(self.settings, create=True)
        self.lab = LabProcess(folder / "lab", copy_seconds=0.6, power_seconds=0.4)
        environment = {
            "EARMARK_DATABASE_URL": self.settings.database_url,
            "EARMARK_SECRET_KEY_FILE": str(self.settings.key_file),
            "EARMARK_BEAT_SECONDS": "0.3",
            "EARMARK_DRAIN_SECONDS": "2",
        }
        self.worker = Program(["worker"], environment, folder / "worker.log")
        # The same port at every start, as an installation has it.
        self.url = f"http://127.0.0.1:{free_port()}"
        words = ["web", "--bind", self.url.removeprefix("http://")]
        self.web = Program(words, environment, folder / "web.log")
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=90)

    def __enter__(self) -> Self:
        self.lab.start()
        self.web.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.web.stop(signal.SIGKILL)
        self.worker.stop(signal.SIGKILL)
        self.lab.kill()
        self.engine.close()

    def add_quiet_lab(self, name: str = "lab", zone: str = "default") -> Provider:
        """The lab as a provider; its first refresh is queued and not waited for."""

        def work(tx: Any) -> Provider:
            return onboarding.add_provider(
                tx,
                name=name,
                kind="lab",
                zone=zone,
                settings={"url": self.lab.url, "username": "operator"},
                secret_ids=onboarding.seal_all(tx, {"password": PASSWORD}),
            )

        return transact(self.engine, work)

    def add_lab(self, name: str = "lab", zone: str = "default") -> Provider:
        """The lab as a provider whose inventory is known; needs the worker."""
        provider = self.add_quiet_lab(name, zone)
        refresh = transact(
            self.engine, lambda tx: RefreshProvider(provider=provider.id).enqueue(tx)
        )
        wait(self.engine, refresh.id, 30)
        return provider

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form)

    def json(self, path: str, **options: Any) -> Any:
        response = self.client.get(f"/api/v1{path}", **options)
        assert response.status_code == 200, response.text
        return response.json()

    def vm(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.json("/vms", params={"q": name})
        return next(vm for vm in found if vm["provider"] == "lab")

    def ended(self, task_id: str) -> dict[str, Any]:
        """Wait for a task's end, as a script does."""
        task: dict[str, Any] = self.json(
            f"/tasks/{task_id}", headers={"Prefer": "wait=60"}
        )
        assert task["state"] == "done", task
        return task

    def stored(self) -> bytes:
        """Every byte that the database's files hold."""
        files = self.folder.glob("earmark.db*")
        return b"".join(file.read_bytes() for file in files if file.is_file())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def key_in(html: str) -> str:
    """The idempotency key of the page's form."""
    found = re.search(r'name="idempotency_key" value="([^"]+)"', html)
    assert found is not None, html
    return found[1]


def task_in(address: str) -> str:
    """The id of the task in an address."""
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", address)
    assert found is not None, address
    return found[0]
