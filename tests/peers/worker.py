"""A real worker process under test: started, stopped, killed by its own pid."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from earmark.domain.settings import Settings
from tests.peers import nursery


class WorkerProcess:
    """`earmark worker`, as a process of its own.

    `crash_at` and `stop_at` name a boundary (see `engine.boundary`) at which the
    process kills or stops itself, as an outside SIGKILL or SIGSTOP at that very
    instant would.
    """

    def __init__(
        self,
        settings: Settings,
        log: Path,
        *,
        crash_at: str = "",
        stop_at: str = "",
        zone: str = "default",
        slots: int = 8,
        beat_seconds: float | None = None,
    ) -> None:
        self._log = log.open("ab")
        environment = {
            **os.environ,
            "EARMARK_DATABASE_URL": settings.database_url,
            "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
            "EARMARK_BEAT_SECONDS": str(beat_seconds or settings.beat_seconds),
            "EARMARK_SILENCE_SECONDS": str(settings.silence_seconds),
            "EARMARK_DRAIN_SECONDS": str(settings.drain_seconds),
            "EARMARK_WRITER_SECONDS": str(settings.writer_seconds),
            "EARMARK_SLOTS": str(slots),
            "EARMARK_COMMANDS": ",".join(settings.commands),
            "EARMARK_CRASH_AT": crash_at,
            "EARMARK_STOP_AT": stop_at,
        }
        self._process = nursery.start(
            nursery.EARMARK,
            ["worker", "--zone", zone],
            env=environment,
            stdout=nursery.PIPE,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ready(self) -> str:
        """Wait until it is registered; returns its worker id."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        assert line.startswith("worker ready "), f"{line!r}; see {self._log.name}"
        return line.split()[2]

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        return self._process.wait(seconds)

    def running(self) -> bool:
        """True while it has not ended."""
        return self._process.poll() is None

    def stopped(self) -> bool:
        """True while SIGSTOP holds it."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL it, and reap it."""
        if self.running():
            self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
