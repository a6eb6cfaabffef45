"""The door: one group, and one place where errors become lines and exit codes."""

import os
from importlib.metadata import version

import click

from earmark.cli import exits
from earmark.cli.database import db
from earmark.cli.demo import demo
from earmark.cli.doctor import doctor
from earmark.cli.exits import Exit
from earmark.cli.launch import Launch
from earmark.cli.orphans import orphans
from earmark.cli.output import complain, say
from earmark.cli.processes import lab, up, web, worker
from earmark.cli.providers import providers
from earmark.cli.run import run
from earmark.cli.session import Session
from earmark.cli.tasks import tasks
from earmark.cli.vms import vms
from earmark.cli.waiting import Detached
from earmark.cli.workers import workers
from earmark.cli.zones import zones
from earmark.domain.errors import EarmarkError


class _InOrder(click.Group):
    """Lists its commands as they were added: what comes first is needed first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    "earmark",
    cls=_InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("earmark"), prog_name="earmark")
def earmark() -> None:
    """Durable commands for systems you do not control.

    Start with `earmark demo`. Every listing takes --json.
    """


for _command in (
    demo,
    up,
    run,
    tasks,
    vms,
    providers,
    orphans,
    zones,
    workers,
    web,
    worker,
    lab,
    db,
    doctor,
):
    earmark.add_command(_command)


def main(launch: Launch) -> int:
    """Run one command line; returns the exit code."""
    try:
        status = earmark.main(
            prog_name="earmark", standalone_mode=False, obj=Session(launch)
        )
        return status if isinstance(status, int) else Exit.OK
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return Exit.INTERRUPTED
    except Detached as detached:
        say(f"Detached; the task goes on. `earmark tasks wait {detached.task_id}`")
        return Exit.INTERRUPTED
    except EarmarkError as error:
        complain(error)
        return exits.of_error(error)
    except Exception as error:
        if os.environ.get("EARMARK_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"error: {said[:300]} (a bug; EARMARK_DEBUG=1 shows where)")
        return Exit.BUG
