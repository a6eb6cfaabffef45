"""Which commands exist. What cannot be safe is refused here, before it ever runs."""

import inspect
import string
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any, get_args, get_type_hints

from earmark.domain.command import Action, Command, Composite, ExternalJob
from earmark.domain.errors import RegistrationRefused, UnknownName
from earmark.engine.authored import import_authored, look_here

ENTRY_POINTS = "earmark.commands"
_KINDS = (Action, ExternalJob, Composite)
_API = {
    name
    for kind in _KINDS
    for name in dir(kind)
    if not name.startswith("_") and not hasattr(Command.__mro__[1], name)
}


class Commands:
    """The commands that this process knows, by name and version."""

    def __init__(self, known: Iterable[type[Command[Any]]] = ()) -> None:
        self._known: dict[tuple[str, int], type[Command[Any]]] = {}
        for command in known:
            self.register(command)

    def register(self, command: type[Command[Any]]) -> type[Command[Any]]:
        """Add a command; raises `RegistrationRefused` with what is wrong with it."""
        problem = _problem(command)
        if problem:
            raise RegistrationRefused(f"Command {command.__name__}: {problem}")
        pair = (command.__name__, command.version)
        if self._known.setdefault(pair, command) is not command:
            raise RegistrationRefused(
                f"Two commands are named {pair[0]} in version {pair[1]}."
            )
        return command

    def register_module(self, name: str) -> None:
        """Add every concrete command defined in a module or package."""
        hint = "Check EARMARK_COMMANDS and the installed packages."
        module = import_authored(name, "commands", hint)
        for _, value in inspect.getmembers(module, inspect.isclass):
            ours = value.__module__ == name or value.__module__.startswith(f"{name}.")
            if ours and issubclass(value, _KINDS) and not inspect.isabstract(value):
                self.register(value)

    def newest(self, name: str) -> type[Command[Any]]:
        """The newest version of a command; raises `UnknownName`."""
        versions = [v for n, v in self._known if n == name]
        if not versions:
            names = ", ".join(sorted({n for n, _ in self._known}))
            raise UnknownName(
                f"There is no command {name!r}.", hint=f"There are: {names}."
            )
        return self._known[name, max(versions)]

    def get(self, name: str, version: int) -> type[Command[Any]] | None:
        """That very version, or None when this process does not know it (rule 19)."""
        return self._known.get((name, version))

    def pairs(self) -> tuple[tuple[str, int], ...]:
        """Every (name, version) known, sorted: what a worker advertises."""
        return tuple(sorted(self._known))

    def __iter__(self) -> Iterator[type[Command[Any]]]:
        """The newest version of every command, by name."""
        return (self.newest(name) for name in sorted({n for n, _ in self._known}))


def load_commands(extra_modules: Sequence[str] = ()) -> Commands:
    """Every command of the installed packages and of the modules named."""
    commands = Commands()
    if extra_modules:
        look_here()
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        commands.register_module(point.value)
    for module in extra_modules:
        commands.register_module(module)
    return commands


def _problem(command: type[Command[Any]]) -> str:
    """What keeps a command from being registered, in words; empty when nothing."""
    if not issubclass(command, _KINDS) or inspect.isabstract(command):
        missing = ", ".join(sorted(getattr(command, "__abstractmethods__", ())))
        return f"it is not a finished Action, ExternalJob or Composite ({missing})."
    if not getattr(command, "title", ""):
        return "it needs a title."
    shadowed = sorted(_API & set(command.model_fields))
    if shadowed:
        return f"its field {shadowed[0]!r} hides Command.{shadowed[0]}; rename it."
    fields = {f for _, f, _, _ in string.Formatter().parse(command.title) if f}
    unknown = sorted(fields - set(command.model_fields))
    if unknown:
        return f"its title names {unknown[0]!r}, which is not one of its fields."
    if issubclass(command, ExternalJob) and not getattr(command, "operation", ""):
        return "it must name the connector's operation that it sends."
    return _wrongly_undone(command)


def _wrongly_undone(command: type[Command[Any]]) -> str:
    """Whether its `undo` says that it returns what can take no effect back."""
    if not issubclass(command, ExternalJob):
        return ""
    try:
        said = get_type_hints(command.undo).get("return")
    except (AttributeError, NameError, TypeError):  # for type checkers alone
        return ""
    for kind in get_args(said) or (said,):
        if inspect.isclass(kind) and issubclass(kind, (Action, Composite)):
            return f"its undo returns {kind.__name__}; only an ExternalJob takes back."
    return ""
