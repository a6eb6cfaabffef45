"""The supervisor: keeps the processes of one host running, and ends them in good order.

It owns no work. A child that dies is started again, after a pause that doubles while
the child keeps dying young. What a dead worker left half-done is for the other
workers' recoverers, or for its successor's: the row of the dead process names its pid
and start time, which is all that they need.
"""

import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
#: A child that lived so long did not die young.
_GROWN_UP_SECONDS = 60.0
#: How long a child may take, beyond its drain, to end.
_GRACE_SECONDS = 5.0
#: Exit codes that no fresh start can mend: bad input, address or database unusable.
_HOPELESS = (2, 69)
_LAST_WORDS_SECONDS = 0.5
#: A second request to stop counts as impatience only after so long: timeouts, shells
#: and make pass one signal on more than once.
_ONE_REQUEST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. It says `ready_words …` on its standard output
    when it is ready."""

    name: str
    arguments: Sequence[str]
    ready_words: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Said:
    child: "_Child"
    process: subprocess.Popen[str]
    line: str


@dataclass(frozen=True, slots=True)
class _Ended:
    child: "_Child"
    status: int


class _Child:
    """A program and its process, now one and later another."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[str] | None = None
        self.ready = ""
        self.was_ready = False
        self.pause = 0.0
        self.due = 0.0
        self._started = 0.0
        self._reader: threading.Thread | None = None

    def start(self, events: "queue.SimpleQueue[object]", kept: Sequence[int]) -> None:
        """Start the process and the threads that listen to it.

        Its standard input is a pipe that nobody writes to: it closes when we die, in
        whatever way, and a tethered child then ends too. It is a process group of its
        own, so that Ctrl-C reaches only us, and we end it in order.
        """
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            self.program.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict(self.program.environment),
            pass_fds=tuple(kept),
            process_group=0,
        )
        heard = (self.process, events)
        self._reader = threading.Thread(target=self._read, args=heard, daemon=True)
        self._reader.start()
        threading.Thread(target=self._await, args=heard, daemon=True).start()

    def _read(
        self, process: subprocess.Popen[str], events: "queue.SimpleQueue[object]"
    ) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                events.put(_Said(self, process, line.rstrip("\n")))

    def _await(
        self, process: subprocess.Popen[str], events: "queue.SimpleQueue[object]"
    ) -> None:
        events.put(_Ended(self, process.wait()))

    def forget(self) -> float:
        """The process has ended: let go of it; returns how long it lived."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self._reader is not None:
            # Not for long: what the child has started may still hold the pipe.
            self._reader.join(_LAST_WORDS_SECONDS)
        self.process = None
        self.ready = ""
        return time.monotonic() - self._started

    def signal(self, number: int) -> None:
        """Send a signal; killing takes what the child has started along."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


class Supervisor:
    """Runs programs until told to stop.

    `on_ready` is called once, with each program's ready line by its name, when all of
    them are ready for the first time. `kept` are file descriptors that the children
    inherit: a lock stays taken until the last of them is gone.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        drain_seconds: float,
        on_ready: Callable[[Mapping[str, str]], None],
        kept: Sequence[int] = (),
    ) -> None:
        self._children = [_Child(program) for program in programs]
        self._patience = drain_seconds + _GRACE_SECONDS
        self._on_ready = on_ready
        self._announced = False
        self._kept = kept
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._asked_at: float | None = None
        self._impatient = False
        self._kill_at: float | None = None
        self._killed = False
        self._exit = 0

    def stop(self) -> None:
        """Ask all to end; asked again, kill them. Safe in a signal handler."""
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _ONE_REQUEST_SECONDS:
            self._impatient = True
        self._events.put(None)

    def run(self) -> int:
        """Keep all running until `stop`; returns the exit code.

        Not 0 only when a child could not even start and said with its exit code that
        trying again is no use.
        """
        try:
            while True:
                self._begin_what_is_due()
                self._handle(self._next_event())
                if self._asked_at is not None:
                    self._end_all()
                    if not any(child.process for child in self._children):
                        return self._exit
        finally:
            for child in self._children:
                child.signal(signal.SIGKILL)

    def _next_event(self) -> object:
        times = [child.due for child in self._children if child.process is None]
        if self._kill_at is not None:
            times = [self._kill_at]
        pause = min(times) - time.monotonic() if times else None
        try:
            return self._events.get(timeout=None if pause is None else max(0, pause))
        except queue.Empty:
            return None

    def _begin_what_is_due(self) -> None:
        if self._asked_at is not None:
            return
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now:
                child.start(self._events, self._kept)

    def _handle(self, event: object) -> None:
        if isinstance(event, _Said):
            if event.process is event.child.process:
                self._heard(event.child, event.line)
        elif isinstance(event, _Ended):
            self._buried(event.child, event.status)

    def _heard(self, child: _Child, line: str) -> None:
        words = child.program.ready_words
        if not line.startswith(words):
            _log.info("%s: %s", child.program.name, line)
            return
        child.ready = line.removeprefix(words).strip()
        child.was_ready = True
        if not self._announced and all(c.ready for c in self._children):
            self._announced = True
            self._on_ready({c.program.name: c.ready for c in self._children})

    def _buried(self, child: _Child, status: int) -> None:
        lived = child.forget()
        if self._asked_at is not None:
            return
        name = child.program.name
        if not child.was_ready and status in _HOPELESS:
            self._exit = status
            self.stop()
            return
        if lived >= _GROWN_UP_SECONDS:
            child.pause = 0.0
        child.due = time.monotonic() + child.pause
        when = f"in {child.pause:g} s" if child.pause else "now"
        how = f"was killed by signal {-status}" if status < 0 else f"exited {status}"
        _log.warning("%s %s after %.1f s; it starts again %s", name, how, lived, when)
        child.pause = min(max(2 * child.pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _end_all(self) -> None:
        now = time.monotonic()
        if self._kill_at is None:
            self._kill_at = now + self._patience
            self._signal_all(signal.SIGTERM)
        if not self._killed and (now >= self._kill_at or self._impatient):
            self._killed = True
            self._signal_all(signal.SIGKILL)
        if self._killed:
            self._kill_at = now + _GRACE_SECONDS

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is None:
                continue
            if number is signal.SIGKILL:
                _log.warning("%s did not end in time; it is killed", child.program.name)
            child.signal(number)


def run_supervisor(supervisor: Supervisor) -> int:
    """Run it in this process until SIGTERM or SIGINT; returns the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    return supervisor.run()
