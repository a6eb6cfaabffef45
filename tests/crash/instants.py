"""The instants of one run at which its process can die, and the kill.

They are met in the same order every time, so an instant is known by its number: every
boundary; the last moment before each commit, and the first after it; each way into and
out of the author's code that asks the world, and into the code inside a transaction.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from earmark.domain.command import Action, Command, Composite, ExternalJob
from earmark.engine.boundary import BOUNDARIES, Killed, watched
from earmark.engine.runtime import Engine

T = TypeVar("T")

_WITH_CTX = (
    "cancel", "find", "find_many", "poll", "poll_many", "prepare", "run", "send",
)  # fmt: skip
_WITH_TX = ("check", "children", "finish", "next_phase", "progressed", "undo")
_OURS = (Action, Command, Composite, ExternalJob)


def boundaries(met: Iterable[str]) -> int:
    """How many of these instants are boundaries."""
    return sum(name in BOUNDARIES for name in met)


class Instants:
    """Counts the instants met while `alive`, and kills at some of them."""

    def __init__(self) -> None:
        self.met: list[str] = []
        self.violations: list[str] = []
        self._kills: frozenset[int] = frozenset()
        self._deeds: Mapping[int, Callable[[], None]] = {}
        self._alive = False
        self._dead = False

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

    def around(self, name: str, method: Any, *, both: bool) -> Any:
        """An author's method, with an instant before it, and one after it if `both`."""
        bound = isinstance(method, classmethod)
        function = method.__func__ if bound else method

        @functools.wraps(function)
        def met(*arguments: Any, **options: Any) -> Any:
            self.meet(f"{name} begins")
            result = function(*arguments, **options)
            if both:
                self.meet(f"{name} returns")
            return result

        return classmethod(met) if bound else met


@contextmanager
def instants_of(engine: Engine, commands: Iterable[type[Any]]) -> Iterator[Instants]:
    """The instants of this engine and of these commands' code."""
    instants = Instants()
    with pytest.MonkeyPatch.context() as patch, watched(instants.meet):
        patch.setattr(engine.database, "write", instants.write(engine.database.write))
        theirs = {
            one for c in commands for one in c.__mro__ if issubclass(one, Command)
        }
        for command in theirs.difference(_OURS):
            for name in set(_WITH_CTX + _WITH_TX) & set(vars(command)):
                method, label = vars(command)[name], f"{command.__name__}.{name}"
                met = instants.around(label, method, both=name in _WITH_CTX)
                patch.setattr(command, name, met)
        yield instants
