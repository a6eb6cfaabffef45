"""What the engine really did with one effect, as a sequence of events, and whether the
model can do the same.

Recorded is what can be seen from outside: the rows after each commit, and what the
provider was asked and has made. What the model does between, nobody sees: a death, a
lost request, a deadline. So each event is matched by every state that the model may be
in, and the trace is no behaviour of the model when none is left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction
from earmark.store.schema import evidence, placeholders, sends, tasks
from tests.crash.inside import Faithful
from tests.model.checker import Move
from tests.model.protocol import Protocol
from tests.model.state import FINAL, Config, State

#: Only the schedule lets time pass, so these happen when it does.
_TIME = frozenset({"the horizon passes", "and the lag with it"})
_TASK = {"cancelling": "waiting"}


class Rows(NamedTuple):
    """What the store shows of one effect. Of one that has ended: how, and no more."""

    effect: str
    task: str = ""
    good: bool = False
    stop: bool = False
    resend: bool = False
    sent_before: bool = False
    named: bool = False
    decision: bool = False
    noted: str = ""
    heard: bool = False
    sends: tuple[tuple[bool, bool], ...] = ()

    def __str__(self) -> str:
        first = Rows(self.effect)
        facts = [
            f"{name}={now}"
            for name, now, was in zip(self._fields, self, first, strict=True)
            if now != was
        ]
        return f"the store says {self.effect} {' '.join(facts)}"


#: An event: what the store shows after a commit, or one of the words "bytes", "look",
#: "made" and "time".
Event = Rows | str


class Recorder:
    """The events of every effect, since `begin`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._write = engine.database.write
        self.events: dict[str, list[Event]] = {}

    def begin(self) -> None:
        """Forget what was recorded."""
        self.events = {}

    def write(self, work: Any, **options: Any) -> Any:
        """In place of `Database.write`: what a commit has changed is seen."""
        result = self._write(work, **options)
        for token, rows in self._engine.read(_rows).items():
            events = self.events.setdefault(token, [])
            if _last(events) != rows:
                events.append(rows)
        return result

    def saw(self, event: str, token: str) -> None:
        """The provider was asked, or has made something."""
        if token in self.events:
            self.events[token].append(event)

    def time(self) -> None:
        """What was on its way has arrived, or never will."""
        for events in self.events.values():
            events.append("time")


def _last(events: Sequence[Event]) -> Rows | None:
    return next((one for one in reversed(events) if isinstance(one, Rows)), None)


def _rows(tx: Transaction) -> dict[str, Rows]:
    both = sa.select(
        placeholders, tasks.c.state.label("task_state"), tasks.c.stop_requested
    ).join(tasks, tasks.c.id == placeholders.c.task_id)
    made: dict[str, list[tuple[bool, bool]]] = {}
    for row in tx.execute(sa.select(sends)):
        facts = (row.over_at is not None, bool(row.answered))
        made.setdefault(row.placeholder_id, []).append(facts)
    named = evidence.c.external_id.is_not(None)
    late = sa.select(evidence.c.placeholder_id).where(evidence.c.kind == "late", named)
    heard = {row.placeholder_id for row in tx.execute(late)}
    return {
        row.id: _row(row, sorted(made.get(row.id, [])), row.id in heard)
        for row in tx.execute(both)
    }


def _row(row: Any, made: Iterable[tuple[bool, bool]], heard: bool) -> Rows:
    effect = str(row.state)
    if effect in FINAL:
        return Rows(effect, good=row.result is not None)
    noted = "" if row.seen_before is None else "empty"
    return Rows(
        effect,
        task=_TASK.get(row.task_state, str(row.task_state)),
        stop=bool(row.stop_requested),
        resend=bool(row.resend),
        sent_before=row.first_sent_at is not None,
        named=row.external_id is not None,
        decision=row.decision is not None,
        noted="foreign" if row.seen_before else noted,
        heard=heard,
        sends=tuple(made),
    )


def shown(s: State) -> Rows:
    """The same of a state of the model."""
    if s.effect in FINAL:
        return Rows(s.effect, good=s.end == "ok")
    return Rows(
        s.effect,
        task=s.task,
        stop=s.stop,
        resend=s.resend,
        sent_before=s.sent_before,
        named=s.handle != "",
        decision=s.decision,
        noted=s.noted,
        heard=s.heard,
        sends=tuple(sorted((r.over, r.answered) for r in s.sends if r.row)),
    )


@dataclass
class Conformance:
    """Whether a trace is a behaviour of the model. Keeps what it has found out."""

    config: Config
    _moves: dict[State, list[tuple[Event, Move[State]]]] = field(default_factory=dict)

    def refused(self, trace: Sequence[Event]) -> str:
        """Why it is none: the events, and after which the model cannot go on. Empty
        when it is one."""
        protocol = Protocol(self.config)
        states = {
            state
            for first in protocol.initial()
            # The effect is promised by the worker that has claimed its task.
            for state in [first, *(m.to for m in protocol.moves(first))]
            if shown(state) == trace[0]
        }
        for at, event in enumerate(trace[1:], start=1):
            before = self._unseen(states)
            states = self._after(before, event)
            if not states:
                return "\n".join(self._told(trace, at, before))
        return "" if states else "\n".join(self._told(trace, 0, states))

    def _after(self, states: set[State], event: Event) -> set[State]:
        after = set()
        for state in states:
            for seen, move in self._from(state):
                if seen == event:
                    after.add(move.to)
        if event == "time":
            # Of several sends each has its own horizon.
            more = after
            while more:
                more = {
                    move.to
                    for state in more
                    for seen, move in self._from(state)
                    if seen == "time"
                } - after
                after |= more
        if event in ("look", "time"):
            # Who looked may die of it, or see nothing to conclude.
            after |= states
        return after

    def _unseen(self, states: set[State]) -> set[State]:
        """Every state that may be reached by what nobody sees."""
        reached, frontier = set(states), list(states)
        while frontier:
            for seen, move in self._from(frontier.pop()):
                if seen == "" and move.to not in reached:
                    reached.add(move.to)
                    frontier.append(move.to)
        return reached

    def _from(self, state: State) -> list[tuple[Event, Move[State]]]:
        found = self._moves.get(state)
        if found is None:
            moves = Protocol(self.config).moves(state)
            found = [(_seen(state, move), move) for move in moves]
            self._moves[state] = found
        return found

    def _told(
        self, trace: Sequence[Event], at: int, before: set[State]
    ) -> Iterator[str]:
        yield f"No behaviour of the model ({self.config.effect}):"
        for number, event in enumerate(trace[: at + 1]):
            yield f"{'  ! ' if number == at else '    '}{event}"
        could = {move.name for s in before for seen, move in self._from(s) if seen}
        yield f"  The model could have done: {', '.join(sorted(could)) or 'nothing'}."


def _seen(old: State, move: Move[State]) -> Event:
    """How a move of the model shows; "" when it does not."""
    name, new = move
    if name.startswith("look"):
        return "look"
    if name == "bytes leave":
        return "bytes"
    if name == "a request lands":
        return "made" if new.made > old.made else ""
    if name in _TIME:
        return "time"
    rows = shown(new)
    return rows if rows != shown(old) else ""


class Watched(list[Any]):
    """A list of the provider's ledger; what is written there is an event."""

    def __init__(self, recorder: Recorder, words: Mapping[str, str] | None) -> None:
        super().__init__()
        self._recorder = recorder
        self._words = words

    def append(self, entry: Any) -> None:
        super().append(entry)
        if self._words is None:
            self._recorder.saw("made", entry)
        elif entry[0] in self._words:
            self._recorder.saw(self._words[entry[0]], entry[1])


class Seen(Faithful):
    """The faithful provider, which tells the recorder what it is asked and makes."""

    def __init__(self, engine: Engine, recorder: Recorder) -> None:
        super().__init__(engine)
        self.recorder = recorder

    def fresh(self) -> None:
        super().fresh()
        self.recorder.begin()
        self.ledger.journal = Watched(self.recorder, {"send": "bytes", "look": "look"})
        self.ledger.effects = Watched(self.recorder, None)

    def lost(self, token: str, task: Task) -> bool:
        late = super().lost(token, task)
        if late:
            self.recorder.saw("bytes", token)
        return late

    def arrive(self) -> None:
        super().arrive()
        self.recorder.time()
