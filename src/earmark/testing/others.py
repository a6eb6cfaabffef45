"""Others: what somebody else has at the providers while something is taken back, and
whether it is still there afterwards."""

from collections.abc import Iterator

from earmark.testing.checks import Wrong
from earmark.testing.report import Mistake
from earmark.testing.wire import Wire

#: The world's name, and the effect's id in it.
Thing = tuple[str, str]


class Others:
    """Looked at from the first `undo` of a run on. `takers`: the commands that take
    back, with the command that each of them was asked for by."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.begin()

    def begin(self) -> None:
        """A new run."""
        self.takers: dict[str, str] = {}
        self._theirs: set[Thing] | None = None
        self._gone: dict[Thing, str] = {}

    @property
    def there(self) -> bool:
        """True when somebody else had something as the undo began."""
        return bool(self._theirs)

    def watch(self) -> None:
        """Something is to be taken back: what others have now, they shall keep."""
        if self._theirs is None:
            self._theirs = self._now()

    def takes_back(self, taker: str, whose: str) -> None:
        """This command is to take back what that one did."""
        self.takers.setdefault(taker, whose)

    def look(self, taker: str) -> None:
        """What is gone since the last look is this command's doing."""
        if self._theirs and taker in self.takers:
            for thing in self._theirs - self._now():
                self._gone.setdefault(thing, taker)

    def wrong(self) -> Iterator[Wrong]:
        """What was taken back, and was not ours."""
        if not self.takers:
            return
        # Some providers delete in their own time: it is seen at the end.
        self.look(list(self.takers)[-1])
        for taker, whose in self.takers.items():
            gone = sorted(id_ for (_, id_), by in self._gone.items() if by == taker)
            if gone:
                text = (
                    f"{taker} was to take back what {whose} did, and {gone[0]} of "
                    f"somebody else is gone."
                )
                yield Wrong(Mistake.NOT_OWN, taker, text)

    def _now(self) -> set[Thing]:
        # By the id: what was made anew under the same one is ours.
        ours = {(made.world, made.effect.id) for made in self._wire.made()}
        return set(self._wire.theirs()) - ours
