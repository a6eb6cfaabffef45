"""The protocol's model: the actions put together, and what must hold."""

from collections.abc import Iterable, Iterator

from tests.model import probing, sending, world
from tests.model.checker import Goal, Move
from tests.model.state import (
    ALLOWED,
    FINAL,
    Config,
    Send,
    State,
    Worker,
    tidy,
)

ACTIONS = (
    sending.claim, sending.before_the_intent, sending.on_the_way, sending.die,
    sending.recover, probing.look, probing.conclude, probing.poll, probing.hold,
    world.net, world.lists, world.time, world.cancel, world.decide, world.put_back,
)  # fmt: skip


#: Two moves in one transaction: by way of doubt (doubt.py), and of planned (answer.py).
_TWO_AT_ONCE = {("bound", "held"), ("sending", "dropped")}


class Protocol:
    """One promised effect of one class, with what is configured around it."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def initial(self) -> Iterable[State]:
        """Asked for and promised, nothing sent; a thing alike may be there."""
        yield State()
        if self.config.foreign and self.config.effect != "absolute":
            yield State(foreign="listed")
        if not self.config.on("no lag in lists"):
            yield State(foreign="hidden")

    def moves(self, state: State) -> Iterator[Move[State]]:
        """Every step that is possible now."""
        for action in ACTIONS:
            for name, new in action(state, self.config):
                if state.look and _written(state, new):
                    # A prober that is still at it would only write what is stale.
                    new = new._replace(look="")
                    if not self.config.on("version"):
                        late = new._replace(look=state.look)
                        yield Move(f"{name}; a prober is late", tidy(late))
                yield Move(name, tidy(new))

    def broken(self, s: State) -> str | None:
        """The first invariant that does not hold."""
        for name, holds in INVARIANTS.items():
            if not holds(s, self.config):
                return name
        return None

    def broken_step(self, old: State, name: str, new: State) -> str | None:
        """A final state is final, and only the moves of `domain/states.py` are made."""
        if old.effect == new.effect or new.restored != old.restored:
            return None
        if new.effect == "sending" and old.stop:
            return "nothing is sent after it was asked to stop"
        if new.effect in ALLOWED[old.effect]:
            return None
        if (old.effect, new.effect) in _TWO_AT_ONCE:
            return None
        return f"no move from {old.effect} to {new.effect}"

    def goals(self) -> Iterable[Goal[State]]:
        """No state is a trap."""
        yield Goal("an end, or a person", lambda s: s.effect in FINAL | {"held"})
        if self.config.person:
            yield Goal("an end", lambda s: s.effect in FINAL)
        # Something alike without a mark, or a copy that forgot an end, is a person's.
        mute = self.config.effect in ("none", "tasks") or self.config.put_back
        strange = self.config.foreign and self.config.effect == "tag"
        if not mute and not strange:
            yield Goal("an end, or a person, without being held", self._goes_on, _alone)

    def _goes_on(self, s: State) -> bool:
        out_of_sends = len(s.sends) >= self.config.most_sends
        return s.effect in FINAL | {"held"} or out_of_sends

    def tell(self, old: State, new: State) -> str:
        """The fields that changed."""
        return "; ".join(
            f"{name} {_told(was)} → {_told(now)}"
            for name, was, now in zip(State._fields, old, new, strict=True)
            if was != now
        )


def _alone(name: str) -> bool:
    return not name.startswith(("held", "a person"))


def _told(value: object) -> str:
    """A value in few words: of a send or a worker only what is not as at first."""
    if isinstance(value, State):
        return f"a copy ({value.effect})"
    if isinstance(value, Send | Worker):
        first = type(value)()
        facts = [
            str(now) if isinstance(now, str) else f"{name}={now}"
            for name, now, was in zip(value._fields, value, first, strict=True)
            if now != was or name in ("wire", "phase")
        ]
        return " ".join(facts)
    if isinstance(value, tuple):
        return f"[{' | '.join(_told(one) for one in value)}]"
    return str(value) or "none"


def _written(old: State, new: State) -> bool:
    """The placeholder's version went up. A cancel or a late answer does not do that."""
    return (
        old.effect != new.effect
        or old.nonce != new.nonce
        or old.resend != new.resend
        or old.decision != new.decision
        or old.noted != new.noted
        or old.handle != new.handle
    )


def may_come(s: State, c: Config, but: int = -1, known: bool = False) -> bool:
    """Something new may still come into being by itself of one of the sends, `but`
    one; of those that are `known` to the store, or of all."""
    if s.made and c.repeatable and s.token != "forgotten":
        return False  # the provider deduplicates
    for at, send in enumerate(s.sends):
        if at == but or (known and not send.row):
            continue
        if send.wire == "flying":
            return True
        for w in s.workers:
            if w.send == at and w.phase in ("intended", "checked"):
                return True
    return False


def _once(s: State, c: Config) -> bool:
    return s.made < 2 or s.again


def _intent_first(s: State, c: Config) -> bool:
    if s.restored:
        return True
    may_leave = {w.send for w in s.workers if w.phase in ("intended", "checked")}
    return all(
        send.row or (send.wire != "flying" and at not in may_leave)
        for at, send in enumerate(s.sends)
    )


def _nothing_to_come(s: State, c: Config) -> bool:
    if s.effect not in FINAL or s.effect == "watched":
        return True
    by_person = s.end == "absent" or s.again or s.adopted
    return by_person or not may_come(s, c)


def _accounted(s: State, c: Config) -> bool:
    if s.effect not in ("refused", "dropped") or s.again or c.effect == "absolute":
        return True
    return not s.made


def _not_again(s: State, c: Config) -> bool:
    if s.effect not in ("planned", "sending") or s.again or not s.sends:
        return True
    if s.restored and not s.asked:
        return True  # what the copy does not know is asked about before it is sent
    if c.repeatable and s.effect == "sending" and s.token != "forgotten":
        return True
    if s.effect == "planned":
        return not may_come(s, c, known=True)
    return not may_come(s, c, but=s.nonce)


def _ours(s: State, c: Config) -> bool:
    return s.handle != "foreign" or s.adopted


def _there(s: State, c: Config) -> bool:
    if s.effect != "settled" or s.end != "ok" or s.adopted:
        return True
    return s.made > 0


def _ends_together(s: State, c: Config) -> bool:
    return (s.task == "done") == (s.effect in FINAL)


def _held_together(s: State, c: Config) -> bool:
    return (s.task == "held") == (s.effect == "held")


def _one_worker(s: State, c: Config) -> bool:
    mine = [w for w in s.workers if w.mine]
    if s.effect == "sending" and s.copy is None and not s.restored:
        if [w.send for w in mine if w.phase != "gone"] not in ([s.nonce], []):
            return False
        if not mine:
            return False
    return len(mine) <= 1 and (not mine or s.task == "running")


#: Names as in the counterexamples; the numbers are those of the rules of the protocol.
INVARIANTS = {
    "at most one effect of a token (4)": _once,
    "no byte before the intent is durable (1)": _intent_first,
    "nothing is sent again while an earlier request may land (4)": _not_again,
    "nothing ends while something of it may come into being (3)": _nothing_to_come,
    "what is there is accounted for (5)": _accounted,
    "only what is ours is adopted (rule 3)": _ours,
    "what ended well is there (7)": _there,
    "a task ends with its effect (3)": _ends_together,
    "a task is held with its effect (10)": _held_together,
    "one attempt has the task (2)": _one_worker,
}
