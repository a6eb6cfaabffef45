"""`earmark demo`: a simulated site and Earmark on it, in one terminal."""

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from earmark.cli.address import Address
from earmark.cli.demo_lab import PASSWORD, DemoLab
from earmark.cli.launch import WEB, Ready
from earmark.cli.logs import log_to_stderr
from earmark.cli.output import complain, say
from earmark.cli.session import Session, pass_session
from earmark.cli.up_lock import only_up
from earmark.commands import RefreshProvider, onboarding
from earmark.domain.capabilities import Verification
from earmark.domain.errors import EarmarkError, Unavailable, UnknownName
from earmark.domain.inventory import Provider
from earmark.domain.settings import Settings, data_folder
from earmark.domain.task import DEFAULT_ZONE, Task
from earmark.engine.browse import TaskFilter, list_tasks
from earmark.engine.enqueue import open_tx, transact
from earmark.engine.runtime import Engine
from earmark.engine.wait import wait
from earmark.store import inventory
from earmark.store.database import Transaction

_HOST = "127.0.0.1"
_PORT = 8080
_PROVIDER = "lab"
_PATIENCE_SECONDS = 60.0


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps everything; default a folder of your own.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Of the web; default EARMARK_BIND, else 8080 or any that is free.",
)
@pass_session
def demo(session: Session, data: Path | None, port: int | None) -> int:
    """Run a simulated site and Earmark on it, to try things on.

    Start it again on the same data, and it goes on where it was.
    """
    # A log amid the words of the demo would only confuse; the children read this too.
    os.environ.setdefault("EARMARK_LOG_LEVEL", "warning")
    log_to_stderr()
    signal.signal(signal.SIGTERM, _leave)
    folder = (data or data_folder() / "demo").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    settings = _demo_settings(session.settings, folder)
    with only_up(settings) as kept:
        bind = str(_address(session.settings, port))
        settings = settings.model_copy(update={"bind": bind})
        engine = session.launch.open_engine(settings, create=True)
        try:
            with DemoLab(folder) as lab:
                lab.start()
                show = _Show(engine, lab, settings.database_url)
                status = session.launch.supervise(
                    settings, web=True, workers=1, on_ready=show.begin, kept=kept
                )
                show.over.set()
        finally:
            engine.close()
    return show.status or status


def _leave(*_: Any) -> None:
    """SIGTERM while nothing is supervised yet: go by way of every `finally`."""
    raise SystemExit(128 + signal.SIGTERM)


def _demo_settings(settings: Settings, folder: Path) -> Settings:
    """The environment's settings, on a database and a zone of the demo's own."""
    database = folder / "earmark.db"
    return settings.model_copy(
        update={
            "database_url": f"sqlite:///{database}",
            "secret_key_file": database.with_suffix(".key"),
            "zone": DEFAULT_ZONE,
            "roles": ("*",),
        }
    )


def _address(settings: Settings, port: int | None) -> Address:
    """Loopback only. A port that was asked for must be free, the default need not."""
    if port is not None:
        return Address(_HOST, port).free("--port")
    if "bind" in settings.model_fields_set:
        return Address.parse(settings.bind).free("--port")
    try:
        return Address(_HOST, _PORT).free()
    except Unavailable:
        chosen = Address(_HOST, 0).free()
        say(f"Port {_PORT} is in use: the demo takes {chosen.port}.")
        return chosen


class _Show:
    """Brings the lab into Earmark once all runs, and says what there is to see."""

    def __init__(self, engine: Engine, lab: DemoLab, database_url: str) -> None:
        self.over = threading.Event()
        self.status = 0
        self._engine = engine
        self._lab = lab
        self._database_url = database_url
        self._url = ""

    def begin(self, ready: Ready) -> None:
        """Go on in a thread: whoever calls this has processes to look after."""
        self._url = ready[WEB]
        threading.Thread(target=self._run, name="earmark-demo", daemon=True).start()

    def _run(self) -> None:
        try:
            provider = self._provider()
            count = self._count_vms(provider)
        except EarmarkError as error:
            if self.over.is_set():
                return
            complain(error)
            self.status = 1
            os.kill(os.getpid(), signal.SIGTERM)
            return
        click.echo(_welcome(self._url, count, self._lab.found, self._database_url))

    def _provider(self) -> Provider:
        """The lab as a provider, added if it is not there yet."""
        try:
            known = self._engine.read(lambda tx: inventory.provider(tx, _PROVIDER))
        except UnknownName:
            return self._add()
        if known.settings.get("url") != self._lab.url:
            settings = dict(known.settings) | {"url": self._lab.url}
            values = {"settings": settings, "version": known.version + 1}
            self._engine.write(
                lambda tx: inventory.change_provider(tx, known.id, **values)
            )
        return known

    def _add(self) -> Provider:
        form = {"name": _PROVIDER, "kind": "lab", "zone": DEFAULT_ZONE}
        clear = {"password": PASSWORD}
        request = self._engine.read(
            lambda tx: onboarding.checked_request(
                open_tx(self._engine, tx),
                **form,
                settings={"url": self._lab.url},
                secret_values=clear,
            )
        )
        tried = self._ended(transact(self._engine, request.enqueue))
        found = Verification.model_validate(tried.result)
        if not found.ok:
            raise Unavailable(f"The lab does not let us in: {found.detail}")
        return transact(
            self._engine,
            lambda tx: onboarding.add_provider(
                tx,
                **form,
                settings=request.settings,
                secret_ids=onboarding.seal_all(tx, clear),
            ),
        )

    def _count_vms(self, provider: Provider) -> int:
        def count(tx: Transaction) -> int:
            return len(inventory.vms_of(tx, provider.id))

        if not self._engine.read(count):
            self._ended(self._refresh(provider))
        return self._engine.read(count)

    def _refresh(self, provider: Provider) -> Task:
        """The refresh under way since the provider was added, or a new one."""
        its = TaskFilter(command="RefreshProvider", object_id=provider.id)
        newest = self._engine.read(lambda tx: list_tasks(tx, its, 1))
        if newest and not newest[0].done:
            return newest[0]
        return transact(self._engine, RefreshProvider(provider=provider.id).enqueue)

    def _ended(self, task: Task) -> Task:
        ended = wait(self._engine, task.id, _PATIENCE_SECONDS)
        if not ended.went_well:
            raise Unavailable(f"{ended.title}: {ended.message or ended.state}")
        return ended


def _welcome(url: str, count: int, found: bool, database_url: str) -> str:
    earmark = "earmark" if shutil.which("earmark") else sys.argv[0]
    again = ", still running since the last demo" if found else ""
    return f"""
Earmark is up: {url}

It looks after a simulated site of {count} VMs{again}. Three things to try:

  1. Open {url} and make a template of db01.
  2. Do the same from a second terminal:
       export EARMARK_DATABASE_URL={database_url}
       {earmark} run AddVmTemplate --vm db01 --name golden
  3. Kill the worker meanwhile, and see the promise kept:
       {earmark} workers ls
       kill -9 PID
       {earmark} tasks ls

Ctrl-C ends it all, the simulated site too."""
