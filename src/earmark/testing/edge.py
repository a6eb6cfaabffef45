"""The edge to the author's code: each of their methods is called by way of here, so
that what they make of a timeout, or call their own, is seen where they do it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from earmark.domain.command import Child, Command
from earmark.domain.connector import EffectClass
from earmark.domain.errors import EarmarkError, NotSent, Refused
from earmark.domain.outcome import Done, Failed
from earmark.engine.ctx import EngineCtx
from earmark.engine.runtime import Engine
from earmark.engine.told import told
from earmark.testing.checks import Raised, Wrong
from earmark.testing.instants import Instants
from earmark.testing.looks import Look, proves
from earmark.testing.others import Others
from earmark.testing.report import Mistake
from earmark.testing.schedule import Fault
from earmark.testing.wire import Sending, Wire

Proceed = Callable[[], Any]


class Edge:
    """Where an author's methods begin. `wrong`: what was seen them do since `begin`;
    `raised`: what they raised that tells nothing of a provider;
    `looks`: how the last look for each token went of which something had arrived;
    `others`: what is somebody else's."""

    def __init__(self, engine: Engine, wire: Wire) -> None:
        self._engine = engine
        self._wire = wire
        self._instants: Instants | None = None
        self.wrong: list[Wrong] = []
        self.raised: list[Raised] = []
        self.looks: dict[str, Look] = {}
        self.others = Others(wire)

    def watch(self, instants: Instants) -> None:
        """Commands that turn up are to have instants too."""
        self._instants = instants

    def begin(self) -> None:
        """A new run."""
        self.wrong = []
        self.raised = []
        self.looks = {}
        self.others.begin()

    def know(self, command: type[Command[Any]]) -> None:
        """A command that takes part; raises `RegistrationRefused`."""
        assert self._instants is not None
        self._engine.commands.register(command)
        self._instants.cover(command)

    def between(
        self, command: type[Any], method: str, proceed: Proceed, given: tuple[Any, ...]
    ) -> Any:
        """See `instants.Between`."""
        whose = given[0] if isinstance(given[0], type) else type(given[0])
        outermost = next(one for one in whose.__mro__ if method in vars(one))
        if outermost is not command:
            return proceed()
        deed = getattr(self, f"_{method}", None)
        try:
            return proceed() if deed is None else deed(proceed, whose, *given[1:])
        except (EarmarkError, OSError):
            raise
        except Exception as error:
            self.raised.append(Raised(whose.__name__, method, told(error)))
            raise

    def _send(self, proceed: Proceed, whose: type[Any], ctx: EngineCtx) -> Any:
        name = whose.__name__
        sending = Sending(name, ctx.token, ctx.placeholder.effect)
        try:
            handle = self._wire.send(sending, proceed)
        except (NotSent, Refused) as error:
            if sending.unanswered:
                said = f"raised {type(error).__name__}"
                self._guessed(name, sending.unanswered, said)
            raise
        finally:
            self.others.look(name)
        if sending.unanswered:
            self._guessed(name, sending.unanswered, f"returned {handle!r}")
        elif not isinstance(handle, str) or not handle:
            text = f"{name}.send returned {handle!r} instead of the provider's handle."
            self.wrong.append(Wrong(Mistake.ENDS_BADLY, name, text))
        return handle

    def _poll(self, proceed: Proceed, whose: type[Any], *given: Any) -> Any:
        with self._answered(whose, "poll") as answers:
            answers.append(proceed())
        return answers[0]

    def _poll_many(self, proceed: Proceed, whose: type[Any], *given: Any) -> Any:
        with self._answered(whose, "poll_many") as answers:
            many = proceed()
            answers += many.values() if isinstance(many, Mapping) else ()
        return many

    @contextmanager
    def _answered(self, whose: type[Any], method: str) -> Iterator[list[Any]]:
        """Where nothing that is called inside gets a reply, no end can be told, nor
        what there is."""
        reads, cuts = len(self._wire.seen.reads), len(self._wire.seen.cuts)
        answers: list[Any] = []
        yield answers
        silent = self._wire.seen.cuts[cuts:]
        if len(silent) < len(self._wire.seen.reads) - reads or not silent:
            return
        for answer in answers:
            if isinstance(answer, (Done, Failed, list)):
                name = type(answer).__name__
                self._guessed(whose.__name__, silent[0], f"returned {name}", method)
                return

    def _guessed(self, whose: str, call: str, what: str, method: str = "send") -> None:
        text = f"no reply came to {call}, and {whose}.{method} {what}: it cannot know."
        self.wrong.append(Wrong(Mistake.GUESSES, whose, text))

    def _find(self, proceed: Proceed, whose: type[Any], ctx: EngineCtx) -> Any:
        with self._answered(whose, "find") as answers:
            found = self._look([ctx.token], lambda: list(proceed()))
            answers.append(found)
        self._note_look(ctx.token, found)
        self._look_at(found, whose.__name__, ctx.token, ctx.placeholder.effect)
        self._wire.land([ctx.token])
        return found

    def _find_many(
        self, proceed: Proceed, whose: type[Any], ctx: EngineCtx, doubts: Any
    ) -> Any:
        tokens = [doubt.token for doubt in doubts]
        with self._answered(whose, "find_many") as shown:
            answers = self._look(tokens, proceed)
            if isinstance(answers, Mapping):
                answers = {token: list(some) for token, some in answers.items()}
                shown += answers.values()
        if isinstance(answers, Mapping):
            for token in tokens:
                some, effect = answers.get(token, []), ctx.placeholder.effect
                self._note_look(token, some)
                self._look_at(some, whose.__name__, token, effect)
        self._wire.land(tokens)
        return answers

    def _look(self, tokens: Iterable[str], proceed: Proceed) -> Any:
        try:
            return proceed()
        except Exception as error:
            for token in tokens:
                self._note_look(token, error)
            raise

    def _note_look(self, token: str, look: Look) -> None:
        if self._wire.seen.arrived[token]:
            self.looks[token] = look

    def _look_at(self, found: list[Any], whose: str, token: str, effect: str) -> None:
        """What is said to bear the token of a request that never arrived cannot."""
        if self._wire.seen.arrived[token] or effect == EffectClass.ABSOLUTE:
            return
        for one in found:
            if proves(one, token, self._engine.installation):
                text = (
                    f"{whose}.find gave {one.id} the mark of a request that never "
                    f"arrived."
                )
                self.wrong.append(Wrong(Mistake.BY_NAME, whose, text))
                return

    def _finish(self, proceed: Proceed, whose: type[Any], *given: Any) -> Any:
        finishes = self._wire.seen.finishes
        finishes.append(f"{whose.__name__}.finish")
        if self._wire.befalls(Fault.FINISH, len(finishes)):
            raise RuntimeError("verify lets finish raise")
        return proceed()

    def _children(self, proceed: Proceed, whose: type[Any], *given: Any) -> Any:
        result = proceed()
        for command in _commands_in(result):
            self.know(type(command))
        return result

    _next_phase = _children

    def _undo(self, proceed: Proceed, whose: type[Any], *given: Any) -> Any:
        self.others.watch()
        result = self._children(proceed, whose, *given)
        for command in _commands_in(result):
            self.others.takes_back(type(command).__name__, whose.__name__)
        return result


def _commands_in(result: Any) -> Iterator[Command[Any]]:
    """The commands of a plan, or of an undo."""
    for one in result.values() if isinstance(result, Mapping) else [result]:
        command = one.command if isinstance(one, Child) else one
        if isinstance(command, Command):
            yield command
