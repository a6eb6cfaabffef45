"""The processes that run for long: `earmark up`, `web`, `worker` and `lab`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from earmark.cli.address import Address
from earmark.cli.copies import refuse_a_copy
from earmark.cli.launch import WEB, Ready
from earmark.cli.logs import log_to_stderr
from earmark.cli.session import Session, pass_session
from earmark.cli.tether import tether_option, tie
from earmark.cli.up_lock import only_up
from earmark.domain.errors import BadInput
from earmark.domain.settings import Settings

bind_option = click.option(
    "--bind", metavar="HOST:PORT", help="Where to listen; default EARMARK_BIND."
)


def _bound(settings: Settings, bind: str | None) -> Settings:
    """The settings, listening where we were told; raises `Unavailable` if taken."""
    address = Address.parse(bind or settings.bind).free()
    return settings.model_copy(update={"bind": str(address)})


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@bind_option
@pass_session
def up(session: Session, workers: int, bind: str | None) -> int:
    """Run everything on this host: the web and worker processes, kept alive.

    Makes or migrates the database first. SIGTERM and Ctrl-C end all in good order.
    """
    log_to_stderr()
    with only_up(session.settings) as kept:
        settings = _bound(session.settings, bind)
        refuse_a_copy(settings)
        session.launch.open_engine(settings, create=True).close()
        return session.launch.supervise(
            settings, web=True, workers=workers, on_ready=_announce, kept=kept
        )


def _announce(ready: Ready) -> None:
    click.echo(f"Earmark is up: {ready[WEB]}")


@click.command()
@bind_option
@tether_option
@pass_session
def web(session: Session, bind: str | None, tethered: bool) -> int:
    """Run the web process alone: pages and REST."""
    log_to_stderr()
    if tethered:
        tie()
    settings = _bound(session.settings, bind)
    engine = session.launch.open_engine(settings)
    try:
        status = session.launch.serve_web(engine, settings)
    finally:
        engine.close()
    return status if isinstance(status, int) else 0


@click.command()
@click.option("--zone", help="Where it stands; default EARMARK_ZONE.")
@click.option("--role", "roles", multiple=True, help="What it may do; may be repeated.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True)
@tether_option
@pass_session
def worker(
    session: Session,
    zone: str | None,
    roles: Sequence[str],
    processes: int,
    tethered: bool,
) -> int:
    """Run a worker, or several: they claim tasks and follow them at providers."""
    log_to_stderr()
    given: dict[str, Any] = {"zone": zone, "roles": tuple(roles)}
    settings = session.settings.model_copy(
        update={name: value for name, value in given.items() if value}
    )
    if tethered:
        tie()
    refuse_a_copy(settings)
    engine = session.launch.open_engine(settings)
    try:
        if processes == 1:
            return session.launch.run_worker(engine, settings)
    finally:
        engine.close()
    return session.launch.supervise(
        settings, web=False, workers=processes, on_ready=_announce_workers
    )


def _announce_workers(ready: Ready) -> None:
    for said in ready.values():
        click.echo(f"worker ready {said}")


@click.command()
@click.option("--state", type=click.Path(path_type=Path), required=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free.")
@click.option("--site-name", default="Lab", show_default=True)
@click.option("--username", default="operator", show_default=True)
@click.option("--certfile", type=click.Path(exists=True, path_type=Path))
@click.option("--keyfile", type=click.Path(exists=True, path_type=Path))
@click.option("--copy-seconds", type=float, default=4.0, show_default=True)
@click.option("--power-seconds", type=float, default=1.5, show_default=True)
@click.option("--short-seconds", type=float, default=0.5, show_default=True)
@click.option("--seed", type=click.Choice(["demo", "disks", "empty"]), default="demo")
@pass_session
def lab(session: Session, /, **options: Any) -> None:
    """Run the lab: a small simulated site to try Earmark on, on this host only.

    Its password is `lab-password`. Its state outlives it in --state.
    """
    try:
        session.launch.serve_lab(options)
    except ValueError as error:
        raise BadInput(f"The lab: {error}.") from None
