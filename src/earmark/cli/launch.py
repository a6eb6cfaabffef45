"""What the composition root hands to the command line: the neighbours that it starts
without knowing them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from earmark.domain.connector import Connector
from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine

#: Name of a process → what it said when it was ready (the web's is its URL).
Ready = Mapping[str, str]

WEB = "web"


class OpenEngine(Protocol):
    """Opens the database and puts an engine around it."""

    def __call__(self, settings: Settings, *, create: bool = False) -> Engine:
        """`create` makes or migrates the database and the key file first."""
        ...


class Supervise(Protocol):
    """Keeps the processes of this host running until SIGTERM or SIGINT."""

    def __call__(
        self,
        settings: Settings,
        *,
        web: bool,
        workers: int,
        on_ready: Callable[[Ready], None],
        kept: Sequence[int] = (),
    ) -> int:
        """Returns the exit code. `kept` file descriptors go on to the children."""
        ...


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that the command line can start."""

    open_engine: OpenEngine
    load_connectors: Callable[[], Mapping[str, Connector]]
    serve_web: Callable[[Engine, Settings], Any]
    run_worker: Callable[[Engine, Settings], int]
    supervise: Supervise
    serve_lab: Callable[[Mapping[str, Any]], None]
