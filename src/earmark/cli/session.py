"""What one invocation of the command line has at hand: settings, and an engine when a
command needs one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import click
from pydantic import ValidationError

from earmark.cli.launch import Launch
from earmark.domain.errors import BadInput
from earmark.domain.settings import Settings
from earmark.domain.validation import said
from earmark.engine.runtime import Engine


class Session:
    """One invocation. Nothing is opened before a command asks for it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch

    @cached_property
    def settings(self) -> Settings:
        """The environment's settings; raises `BadInput` that names what is wrong."""
        try:
            return Settings()
        except ValidationError as error:
            problems = "; ".join(
                f"EARMARK_{'_'.join(map(str, problem['loc'])).upper()}: {said(problem)}"
                for problem in error.errors()
            )
            raise BadInput(problems) from None

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine on the database, for those who ask and look.

        Raises `BadInput` when a server is named: this version cannot ask one.
        """
        if self.settings.url:
            raise BadInput(
                f"EARMARK_URL is set ({self.settings.url}), but asking a server is "
                "not in this version yet.",
                hint="Unset it to use the database, EARMARK_DATABASE_URL.",
            )
        engine = self.launch.open_engine(self.settings)
        try:
            yield engine
        finally:
            engine.close()


pass_session = click.make_pass_decorator(Session)
