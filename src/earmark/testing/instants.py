"""The instants of one run at which its process can die, and the kill.

They are met in the same order every time, so an instant is known by its number: every
boundary; the last moment before each commit, and the first after it; each way into and
out of the author's code that asks the world, and into the code inside a transaction.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from earmark.domain.command import Action, Command, Composite, ExternalJob
from earmark.engine.boundary import BOUNDARIES, Killed, watched
from earmark.engine.runtime import Engine

T = TypeVar("T")
#: Called in place of an author's method: with the command's class, the method's name,
#: what goes on with the call, and the call's arguments in their order.
Between = Callable[[type[Any], str, Callable[[], Any], tuple[Any, ...]], Any]

_WITH_CTX = (
    "cancel", "find", "find_many", "poll", "poll_many", "prepare", "run", "send",
)  # fmt: skip
_WITH_TX = ("check", "children", "finish", "next_phase", "progressed", "undo")
_OURS = (Action, Command, Composite, ExternalJob)


def boundaries(met: Iterable[str]) -> int:
    """How many of these instants are boundaries."""
    return sum(name in BOUNDARIES for name in met)


def _named(
    function: Callable[..., Any], begin: int, options: Mapping[str, Any]
) -> list[Any]:
    """What an author passes by name, in the order of the parameters."""
    names = list(inspect.signature(function).parameters)[begin:] if options else []
    return [options[name] for name in names if name in options]


def _as_it_is(
    command: type[Any], method: str, proceed: Callable[[], Any], given: tuple[Any, ...]
) -> Any:
    return proceed()


class Instants:
    """Counts the instants met while `alive`, and kills at some of them."""

    def __init__(self, between: Between = _as_it_is) -> None:
        self.met: list[str] = []
        self.violations: list[str] = []
        self._between = between
        self._kills: frozenset[int] = frozenset()
        self._deeds: Mapping[int, Callable[[], None]] = {}
        self._alive = False
        self._dead = False
        self._covered: dict[type[Any], dict[str, Any]] = {}

    def begin(
        self,
        kills: Iterable[int],
        deeds: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        """A new run, to be killed at these numbers; `deeds` are done by somebody else
        at the boundaries of theirs, since no transaction is open there."""
        self.met, self.violations = [], []
        self._deeds = deeds or {}
        self._kills = frozenset(kills)
        self._alive = self._dead = False

    @contextmanager
    def alive(self) -> Iterator[None]:
        """What runs inside is the process that can die. Raises `Killed`."""
        self._alive, self._dead = True, False
        try:
            yield
        finally:
            self._alive = False

    def meet(self, name: str) -> None:
        """This instant has come."""
        if not self._alive:
            return
        if self._dead:
            self.violations.append(f"the dead do nothing: it went on to {name}")
            raise Killed(name)
        number = len(self.met)
        self.met.append(name)
        if name in BOUNDARIES and (deed := self._deeds.get(boundaries(self.met) - 1)):
            self._alive = False
            deed()
            self._alive = True
        if number in self._kills:
            self._dead = True
            raise Killed(name)

    def write(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`Database.write`, with an instant on both sides of its commit."""

        @functools.wraps(original)
        def write(work: Callable[[Any], T], **options: Any) -> Any:
            if not self._alive:
                return original(work, **options)
            verb = work.func if isinstance(work, functools.partial) else work
            name = verb.__qualname__.partition(".<locals>")[0]
            if self._dead:
                self.violations.append(f"the dead write nothing: {name}")

            def last(tx: Any) -> T:
                result = work(tx)
                self.meet(f"{name}, before its commit")
                return result

            result = original(last, **options)
            self.meet(f"{name}, after its commit")
            return result

        return write

    def cover(self, command: type[Command[Any]]) -> None:
        """Meet an instant wherever this command's code is entered or left."""
        theirs = {one for one in command.__mro__ if issubclass(one, Command)}
        for one in theirs.difference(_OURS, self._covered):
            names = set(_WITH_CTX + _WITH_TX) & set(vars(one))
            self._covered[one] = {name: vars(one)[name] for name in names}
            for name, method in self._covered[one].items():
                setattr(one, name, self._around(one, name, method))

    def uncover(self) -> None:
        """Leave every command's code as it was."""
        for command, methods in self._covered.items():
            for name, method in methods.items():
                setattr(command, name, method)
        self._covered.clear()

    def _around(self, command: type[Any], name: str, method: Any) -> Any:
        """An author's method, with an instant before it, and one after it if it asks
        the world."""
        bound = isinstance(method, classmethod)
        function = method.__func__ if bound else method
        label = f"{command.__name__}.{name}"

        @functools.wraps(function)
        def met(*given: Any, **options: Any) -> Any:
            self.meet(f"{label} begins")
            proceed = functools.partial(function, *given, **options)
            in_order = (*given, *_named(function, len(given), options))
            result = self._between(command, name, proceed, in_order)
            if name in _WITH_CTX:
                self.meet(f"{label} returns")
            return result

        return classmethod(met) if bound else met


@contextmanager
def instants_of(
    engine: Engine, commands: Iterable[type[Any]], between: Between = _as_it_is
) -> Iterator[Instants]:
    """The instants of this engine and of these commands' code."""
    instants = Instants(between)
    database: Any = engine.database
    before = database.write
    database.write = instants.write(before)
    try:
        with watched(instants.meet):
            for command in commands:
                instants.cover(command)
            yield instants
    finally:
        instants.uncover()
        database.write = before
