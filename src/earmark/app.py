"""The composition root: here, and only here, the parts are put together."""

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.cli.launch import WEB, Launch, Ready
from earmark.cli.main import main as run_command_line
from earmark.domain.errors import Unavailable
from earmark.domain.settings import Settings
from earmark.engine.registry import load_commands
from earmark.engine.runtime import Engine
from earmark.providers.registry import load_connectors
from earmark.security.vault import FileVault
from earmark.store.database import Database
from earmark.store.dialect import parse
from earmark.store.migrate import check_schema, installation_id, migrate


def open_engine(settings: Settings, *, create: bool = False) -> Engine:
    """Open the database and put an engine around it.

    `create` makes or migrates the schema and the key file first; without it they must
    be there. Raises `SchemaMismatch`, `Unavailable`, `BadInput` in words for people.
    """
    database = Database(settings.database_url, listen=settings.listen)
    try:
        if create:
            migrate(database)
            FileVault.create(settings.key_file)
        check_schema(database)
        return Engine(
            database,
            load_commands(settings.commands),
            load_connectors(),
            FileVault.load(settings.key_file),
            installation_id(database),
        )
    except BaseException:
        database.close()
        raise


# The neighbours below are imported when they are started: a process is one of them,
# and `earmark tasks ls` is none.


def serve_web(engine: Engine, settings: Settings) -> Any:
    """Serve pages and REST in this process."""
    from earmark.web.app import serve

    return serve(engine, settings)


def run_worker(engine: Engine, settings: Settings) -> int:
    """Work in this process."""
    from earmark.worker.process import run_worker as work

    return work(engine, settings)


def serve_lab(options: Mapping[str, Any]) -> None:
    """Be a simulated site in this process."""
    from earmark.lab import LabConfig, serve
    from earmark.lab.site import StateInUse

    try:
        serve(LabConfig(**options))
    except (OSError, StateInUse) as error:
        raise Unavailable(f"The lab cannot run: {error}.") from error


def supervise(
    settings: Settings,
    *,
    web: bool,
    workers: int,
    on_ready: Callable[[Ready], None],
    kept: Sequence[int] = (),
) -> int:
    """Keep a web process, if asked for, and so many workers running."""
    from earmark.worker.guard import guard_writers
    from earmark.worker.supervisor import Program, Supervisor, run_supervisor

    environment = _environment(settings)

    def program(name: str, verb: str) -> Program:
        words = [sys.executable, "-m", "earmark", verb, "--tethered"]
        return Program(name, words, f"{verb} ready ", environment)

    programs = [program(f"worker {n + 1}", "worker") for n in range(workers)]
    if web:
        programs.insert(0, program(WEB, "web"))
    supervisor = Supervisor(
        programs, drain_seconds=settings.drain_seconds, on_ready=on_ready, kept=kept
    )
    file = parse(settings.database_url).database
    if settings.database_url.startswith("sqlite") and file is not None:
        guard_writers(Path(file), settings.writer_seconds)
    return run_supervisor(supervisor)


def _environment(settings: Settings) -> dict[str, str]:
    """What children must read from their environment to have these settings."""
    return {
        "EARMARK_DATABASE_URL": settings.database_url,
        "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
        "EARMARK_BIND": settings.bind,
        "EARMARK_ZONE": settings.zone,
        "EARMARK_ROLES": ",".join(settings.roles),
    }


def main() -> int:
    """The `earmark` program."""
    status = run_command_line(
        Launch(
            open_engine=open_engine,
            load_connectors=load_connectors,
            serve_web=serve_web,
            run_worker=run_worker,
            supervise=supervise,
            serve_lab=serve_lab,
        )
    )
    # All is closed; to sweep what is left takes longer than all that, on a busy host
    # more than a second.
    gc.freeze()
    return status
