"""`earmark run COMMAND`: any command that this installation knows, by its schema."""

from typing import Any

import click

from earmark.cli.asking import How, ask, asks
from earmark.cli.parameters import Parameters
from earmark.cli.session import Session
from earmark.domain.command import Command
from earmark.engine.registry import Commands, load_commands


class _KnownCommands(click.Group):
    """A group whose members are the registered commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.__name__ for command in _known(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return _as_click(_known(ctx).newest(cmd_name))


def _known(ctx: click.Context) -> Commands:
    session = ctx.find_object(Session)
    assert session is not None
    return load_commands(session.settings.commands)


def _as_click(kind: type[Command[Any]]) -> click.Command:
    parameters = Parameters(kind)

    @asks
    @click.pass_context
    def callback(
        ctx: click.Context,
        /,
        json_params: str,
        wait: bool,
        timeout: float | None,
        as_json: bool,
        **given: Any,
    ) -> int:
        session = ctx.find_object(Session)
        assert session is not None
        with session.engine() as engine:
            command = parameters.command(given, json_params)
            return ask(engine, command, How(wait, timeout, as_json))

    json_params = click.Option(
        ["--json-params"], default="", metavar="JSON", help="Parameters as an object."
    )
    about = " ".join((kind.__doc__ or "").split())
    return click.command(
        kind.__name__,
        params=[*parameters.options(), json_params],
        help=about,
        # The list of commands wraps it, and cuts what has none.
        short_help=about.partition(". ")[0].rstrip(".") + ".",
        context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
    )(callback)


@click.command("run", cls=_KnownCommands, no_args_is_help=True)
def run() -> None:
    """Ask for any command: `earmark run PowerOff --vm web01`."""
