"""An effect that has ended, and the second one that takes it back: that may begin only
when nothing of the first can land any more, or what is gone comes back (rule 9).

That the rows of its sends tell when that is, is what the protections of the first are
about; here it is so. The second is of class `absolute`: a look shows whether anything
is left, and it is sent again until nothing is.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.model.checker import Goal, Move
from tests.model.protocol import Protocol
from tests.model.state import FINAL, Config, State

#: Protections of an undo, and what they say.
UNDO_PROTECTIONS = {
    "lands first": "an undo begins when nothing of what it takes back can land",
    "seen to be gone": "it ends when nothing is left, not when it was sent",
    "ended first": "it begins when its effect has ended",
}


def may_come_again(s: State, c: Config) -> bool:
    """A request may still land, and would make anew what is gone by then. A name is
    taken only while the thing is there; a token is known also after that."""
    if c.effect == "token" and s.token != "forgotten":
        return False
    senders = {w.send for w in s.workers if w.phase in ("intended", "checked")}
    flying = any(send.wire == "flying" for send in s.sends)
    return flying or bool(senders & set(range(len(s.sends))))


class Undo(NamedTuple):
    """`back`: the second effect: none, planned, flying, landed, done. `taken`: how many
    of the things that `one` has made are gone, where the provider knows its token."""

    one: State
    back: str = ""
    taken: int = 0

    @property
    def left(self) -> bool:
        """Something of the first effect is there."""
        return self.one.made > self.taken


class TakenBack:
    """One promised effect whose root ends badly, and its undo."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._effect = Protocol(config)

    def initial(self) -> Iterable[Undo]:
        """Nothing is sent."""
        for one in self._effect.initial():
            yield Undo(one)

    def moves(self, undo: Undo) -> Iterator[Move[Undo]]:
        """A step of the effect, or of what takes it back."""
        for name, one in self._effect.moves(undo.one):
            yield Move(name, undo._replace(one=one))
        if not undo.back and self._may_begin(undo.one):
            yield Move("the undo is promised", undo._replace(back="planned"))
        elif undo.back == "planned":
            yield Move("the undo is sent", undo._replace(back="flying"))
        elif undo.back == "flying":
            yield Move("the undo lands", self._landed(undo))
            yield Move("the undo is lost", undo._replace(back="planned"))
            if not self.config.on("seen to be gone"):
                yield Move("the undo ends unseen", undo._replace(back="done"))
        elif undo.back == "landed":
            yield Move("the undo ends", undo._replace(back="done"))

    def _may_begin(self, s: State) -> bool:
        ended = s.effect == "settled" or not self.config.on("ended first")
        if not ended or s.handle != "ours":
            return False
        return not self.config.on("lands first") or not may_come_again(s, self.config)

    def _landed(self, undo: Undo) -> Undo:
        one = undo.one
        if self.config.effect == "token":
            # The provider remembers the token of what is gone.
            return undo._replace(back="landed", taken=one.made)
        return undo._replace(back="landed", one=one._replace(made=0, listed=0))

    def broken(self, u: Undo) -> str | None:
        """The first invariant that does not hold."""
        if u.back and u.one.effect != "settled":
            return "nothing is taken back that has not ended (rule 8)"
        if u.back == "done" and u.left:
            return "what was taken back is gone (rule 9)"
        if u.back in ("landed", "done"):
            return None  # what the others say of what is there is over
        return self._effect.broken(u.one)

    def broken_step(self, old: Undo, name: str, new: Undo) -> str | None:
        """The rules of the effect; and an undo's end is final."""
        if old.back == "done" != new.back:
            return "a final state is final (9)"
        return self._effect.broken_step(old.one, name, new.one)

    def goals(self) -> Iterable[Goal[Undo]]:
        """Whatever is there of ours can be taken back, or is a person's."""
        yield Goal("an end with nothing left of it, or a person", self._over)

    def _over(self, u: Undo) -> bool:
        if u.one.effect == "settled" and u.one.handle == "ours":
            return u.back == "done"
        return u.one.effect in FINAL | {"held"}

    def tell(self, old: Undo, new: Undo) -> str:
        """What a step changed."""
        told = self._effect.tell(old.one, new.one)
        undo = f"undo {old.back or 'none'} → {new.back}" if old.back != new.back else ""
        return "; ".join(part for part in (told, undo) if part)
