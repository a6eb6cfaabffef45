"""Those who ask: over REST, where an answer may be lost and the request is repeated
with its key, and in process. Several at a time: the load goes on while one waits."""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from earmark import commands
from earmark.domain.command import Command
from earmark.domain.errors import CommitUnknown, EarmarkError, Unavailable
from earmark.engine.cancel import cancel
from earmark.engine.enqueue import transact
from earmark.engine.retry import retry
from tests.soak.deeds import Deed
from tests.soak.estate import Estate

_AT_A_TIME = 4
#: So long an answer may stay out, with the web being killed, before that is a fault.
_PATIENCE_SECONDS = 45.0
_OTHER = {"fast": "bulk", "bulk": "fast"}


@dataclass(slots=True)
class Asked:
    """One request, and the task that it made; or why it made none."""

    schedule: int
    deed: Deed
    key: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    task_id: str = ""
    refused: str = ""

    def __str__(self) -> str:
        became = self.task_id or f"refused: {self.refused}"
        return f"schedule {self.schedule}: {self.deed} → {became}"


class People:
    """Ask of an estate what schedules say."""

    def __init__(self, estate: Estate, name: str) -> None:
        self._estate = estate
        self._name = name
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="asks")
        self._futures: list[Future[None]] = []
        self._lock = threading.Lock()
        self._web = httpx.Client(base_url=estate.web_url, timeout=20, trust_env=False)
        self.asked: list[Asked] = []

    def ask(self, schedule: int, deed: Deed) -> None:
        """Ask as soon as one of the people is free."""
        key = f"{self._name}-{schedule}-{len(self._futures)}"
        future = self._pool.submit(self._ask, Asked(schedule, deed, key, ""))
        self._futures.append(future)

    def waiting(self) -> bool:
        """Whether somebody has no answer yet."""
        return not all(future.done() for future in self._futures)

    def in_vain(self) -> list[str]:
        """Who got no answer, once nobody waits any more."""
        failed = [future.exception() for future in self._futures]
        return [f"asked in vain: {error!r}" for error in failed if error is not None]

    def get(self, path: str) -> Any:
        """Read a page of the API."""
        return self._web.get(f"/api/v1{path}").raise_for_status().json()

    def close(self) -> None:
        """They all go home."""
        self._pool.shutdown()
        self._web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def repeat(self, asked: Asked) -> str:
        """Ask the very same again over REST; returns the task's id."""
        return self._until_answered(lambda: self._posted(asked))

    def _ask(self, asked: Asked) -> None:
        facts = asked.deed.facts
        if asked.deed.kind in ("cancel", "retry"):
            which = self._task(facts["back"])
            if not which:
                asked.refused = "nothing was asked before"
                return
            asked.path = f"/api/v1/tasks/{which}/{asked.deed.kind}"
        else:
            command = self._command(asked.deed)
            asked.path = f"/api/v1/commands/{type(command).__name__}"
            asked.body = command.model_dump(mode="json")
        try:
            if facts["how"] == "engine":
                asked.task_id = self._until_answered(lambda: self._in_process(asked))
            else:
                if facts["how"] == "rest, answer lost":
                    self._post_and_leave(asked)
                asked.task_id = self._until_answered(lambda: self._posted(asked))
        except EarmarkError as refused:
            asked.refused = str(refused)
        with self._lock:
            self.asked.append(asked)

    def _task(self, back: int) -> str:
        with self._lock:
            made = [it.task_id for it in self.asked if it.task_id]
        return made[-back] if len(made) >= back else ""

    def _command(self, deed: Deed) -> Command[Any]:
        facts = deed.facts
        match deed.kind:
            case "power":
                found: Command[Any] = getattr(commands, facts["verb"])(vm=facts["vm"])
            case "restart":
                found = commands.RestartVm(vm=facts["vm"])
            case "many":
                three = tuple(facts["vms"].split(","))
                found = commands.PowerMany(vms=three, target=facts["target"])
            case "move":
                disk = self._estate.house.vm(facts["vm"]).disks[facts["disk"]]
                there = _OTHER[disk.domain]
                found = commands.MoveDisk(vm=facts["vm"], disk=disk.alias, domain=there)
            case "remove":
                found = commands.RemoveVm(vm=facts["vm"])
            case "template":
                found = commands.AddVmTemplate(vm=facts["vm"], name=facts["name"])
            case "snapshot":
                found = commands.CreateSnapshot(vm=facts["vm"], name=facts["name"])
            case "tenant":
                found = commands.CreateTenant(provider="lab", name=facts["name"])
            case _:
                found = commands.RefreshProvider(provider="lab")
        return found

    def _in_process(self, asked: Asked) -> str:
        engine, which = self._estate.engine, asked.path.split("/")[4]
        if asked.deed.kind == "cancel":
            return cancel(engine, which, "soak").id
        if asked.deed.kind == "retry":
            return retry(engine, which, "local", key=asked.key).id
        command: Command[Any] = getattr(commands, which)(**asked.body)
        return transact(engine, lambda tx: command.enqueue(tx, key=asked.key)).id

    def _until_answered(self, ask: Callable[[], str]) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return ask()
            except (Unavailable, CommitUnknown, httpx.HTTPError):
                if time.monotonic() > deadline:
                    raise
                # Nobody is there to tell when the web is back.
                time.sleep(0.1)

    def _posted(self, asked: Asked) -> str:
        key = {"Idempotency-Key": asked.key}
        answer = self._web.post(asked.path, json=asked.body, headers=key)
        if answer.status_code in (400, 404, 409, 422):
            raise EarmarkError(answer.json()["detail"])
        return str(answer.raise_for_status().json()["id"])

    def _post_and_leave(self, asked: Asked) -> None:
        """Send it whole and hear nothing, whether or not it was begun by then."""
        host, port = self._estate.web_url.removeprefix("http://").split(":")
        body = json.dumps(asked.body).encode()
        head = (
            f"POST {asked.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Idempotency-Key: {asked.key}\r\n\r\n"
        )
        with (
            suppress(OSError),
            socket.create_connection((host, int(port)), timeout=5) as line,
        ):
            line.sendall(head.encode() + body)
            time.sleep(asked.deed.facts["gap"])
