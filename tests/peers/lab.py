"""The lab as a process of its own, for every test that needs a provider."""

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from tests.peers import nursery

Json = dict[str, Any]
T = TypeVar("T")

USERNAME = "operator"
PASSWORD = "lab-password"
READY = "lab ready "
READY_SECONDS = 20.0


def eventually(
    probe: Callable[[], T | None], what: str = "it", seconds: float = 15.0
) -> T:
    """Ask ``probe`` until it returns something true, and return that.

    Fails the test when ``seconds`` have passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


class LabProcess:
    """A lab that can be started, killed and started again on the same state.

    The port is picked at the first start and kept, so that ``url`` stays true over
    restarts. ``options`` are the command line's, without dashes in front:
    ``copy_seconds=0.3``. A context manager that starts and stops it.
    """

    def __init__(self, state: Path, **options: str | float | Path) -> None:
        self.state = state
        self.options: Mapping[str, str | float | Path] = options
        self.port = 0
        self.url = ""
        self._process: nursery.Forked | None = None
        self._client = httpx.Client(timeout=20, trust_env=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._client.close()

    @property
    def pid(self) -> int:
        """The process's id; the lab must be running."""
        assert self._process is not None
        return self._process.pid

    @property
    def auth(self) -> tuple[str, str]:
        """Name and password for /api."""
        username = self.options.get("username", USERNAME)
        return str(username), str(self.options.get("password", PASSWORD))

    def start(self) -> None:
        """Start the process and return when it accepts connections."""
        assert self._process is None, "the lab runs already"
        self.state.mkdir(parents=True, exist_ok=True)
        words = ["--state", str(self.state), "--port", str(self.port)]
        for name, value in self.options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        with self.log.open("ab") as log:
            self._process = nursery.start(
                nursery.LAB, words, stdout=nursery.PIPE, stderr=log
            )
        try:
            self.url = self._ready_line().removeprefix(READY)
        except BaseException:
            self.kill()
            raise
        self.port = int(self.url.rpartition(":")[2])

    def stop(self) -> float:
        """Send SIGTERM, wait for a clean exit, and return how long that took."""
        assert self._process is not None
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(10)
        took = time.monotonic() - begun
        self._forget()
        assert status == 0, f"the lab exited with {status}: {self.log.read_text()}"
        return took

    def kill(self) -> None:
        """Send SIGKILL and wait for the end; nothing to do when it is not running."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        self._forget()

    def restart(self) -> None:
        """Kill it, if it runs, and start it again: same state, same port."""
        self.kill()
        self.start()

    @property
    def log(self) -> Path:
        """The file that holds what the process wrote on its standard error."""
        return self.state / "stderr.log"

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request to /api with the right password; an error is a response."""
        return self._client.request(
            method, f"{self.url}/api{path}", auth=self.auth, **options
        )

    def task(self, task_id: str) -> Json:
        """Return one task as the API shows it."""
        found: Json = self.call("GET", f"/tasks/{task_id}").raise_for_status().json()
        return found

    def finished(self, task_id: str, seconds: float = 15.0) -> Json:
        """Wait until a task is finished and return it."""

        def probe() -> Json | None:
            task = self.task(task_id)
            return task if task["state"] == "finished" else None

        return eventually(probe, f"the end of task {task_id}", seconds)

    def vm(self, name: str) -> Json:
        """Return the virtual machine of that name."""
        vms = self.call("GET", "/vms").raise_for_status().json()["vms"]
        (found,) = [vm for vm in vms if vm["name"] == name]
        machine: Json = found
        return machine

    def ledger(self) -> Json:
        """Return the whole ledger: ``requests`` and ``effects``."""
        return self._control("GET", "/ledger")

    def clear_ledger(self) -> None:
        """Forget what the ledger holds."""
        self._control("DELETE", "/ledger")

    def requests(self, verb: str | None = None, token: str | None = None) -> list[Json]:
        """Return the requests of the ledger, or those of one verb or token."""
        return _matching(self.ledger()["requests"], verb, token)

    def effects(self, verb: str | None = None, token: str | None = None) -> list[Json]:
        """Return what was really done, or only that of one verb or token."""
        return _matching(self.ledger()["effects"], verb, token)

    def fault(self, fault: str, verb: str | None = None, **order: Any) -> int:
        """Set a fault and return its id; ``order`` as in POST /lab/faults."""
        order |= {"fault": fault, "verb": verb}
        return int(self._control("POST", "/faults", json=order)["id"])

    def faults(self) -> list[Json]:
        """Return the faults that are set, with how often each was met."""
        found: list[Json] = self._control("GET", "/faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._control("DELETE", "/faults")

    def _control(self, method: str, path: str, **options: Any) -> Json:
        response = self._client.request(method, f"{self.url}/lab{path}", **options)
        assert response.is_success, response.text
        answer: Json = response.json() if response.content else {}
        return answer

    def _ready_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + READY_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select(
                [pipe], [], [], max(0.0, deadline - time.monotonic())
            )
            chunk = os.read(pipe, 4096) if ready else b""
            if not chunk:
                raise AssertionError(f"the lab did not start: {self.log.read_text()}")
            line += chunk
        text = line.decode().strip()
        assert text.startswith(READY), text
        return text

    def _forget(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        # Connections to a process that is gone are of no use to the next one.
        self._client.close()
        self._client = httpx.Client(timeout=20, trust_env=False)


def _matching(rows: list[Json], verb: str | None, token: str | None) -> list[Json]:
    return [
        row
        for row in rows
        if (verb is None or row["verb"] == verb)
        and (token is None or row["token"] == token)
    ]
